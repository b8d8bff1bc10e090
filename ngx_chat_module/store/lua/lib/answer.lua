-- answer(S): the fields of the complete answer there, by name and as they
-- lie, or nil: whatever else is there, of any type, counts as absent

local function add_up(cuts, size)
    local sum = 0

    for cut in string.gmatch(cuts .. ' ', '([^ ]*) ') do
        if not string.find(cut, '^[1-9]%d*$') then
            return false
        end

        sum = sum + tonumber(cut)
    end

    return sum == size
end

local function answer(key)
    local entry = redis.pcall('XREVRANGE', key, '+', '-', 'COUNT', '1')[1]
    local list = entry and entry[2] or {}
    local fields = {}

    for i = 1, #list, 2 do
        fields[list[i]] = list[i + 1]
    end

    if fields.status == 'completed' and fields.v == '1'
       and fields.chunk and fields.cuts
       and add_up(fields.cuts, #fields.chunk)
    then
        return fields, list
    end
end
