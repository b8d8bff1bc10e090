-- answer(S): the fields of what seems to be an answer there, by name and as
-- they lie, or nil: whatever else is there, of any type, counts as absent.
-- complete(fields), the dearer half of the test, comes last.  One of version 2
-- is kept for "stale" ms beyond its TTL, after which fresh(S, fields) is false;
-- to releases that do not know of this it is no answer at any time.

local function answer(key)
    local entry = redis.pcall('XREVRANGE', key, '+', '-', 'COUNT', '1')[1]
    local list = entry and entry[2] or {}
    local fields = {}

    for i = 1, #list, 2 do
        fields[list[i]] = list[i + 1]
    end

    if fields.status == 'completed' and fields.chunk and fields.cuts
       and (fields.v == '1'
            or fields.v == '2' and string.find(fields.stale or '', '^%d+$'))
    then
        return fields, list
    end
end

-- left: ms until its key expires, -1: never, since somebody wants to keep it

local function fresh(fields, left)
    return fields.v == '1' or left < 0 or left >= tonumber(fields.stale)
end

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

-- Of an answer with many chunks, to add up the cuts would stop Redis for long:
-- "sizes" says how long text and cuts were when they were written.  Those of
-- an earlier release are without.

local function sizes(text, cuts)
    return #text .. ' ' .. #cuts
end

local function complete(fields)
    if fields.sizes then
        return fields.sizes == sizes(fields.chunk, fields.cuts)
    end

    return add_up(fields.cuts, #fields.chunk)
end
