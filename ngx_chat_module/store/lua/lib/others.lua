-- Other generations of the question of generation id (key gen)

-- the one whose id stands at key: its id, and its key

local function named(key)
    local other = redis.pcall('GET', key)

    if type(other) == 'string' and #other == #id
       and string.find(other, '^[0-9a-f]+$')
    then
        return other, string.sub(gen, 1, -#id - 1) .. other
    end
end

-- A generation past its time in the queue is as good as ended, and will be by
-- whoever looks.

local function goes_on(key)
    local state, due = unpack(redis.pcall('HMGET', key .. ':own', 'state',
                                          'due'))

    return redis.call('TYPE', key).ok == 'stream'
           and (state == 'r' or state == 'q' and (tonumber(due) or 0) >= now)
end
