-- Other generations of the question of generation id (key gen)

-- the one of this id, if it is one: id and key

local function named(other)
    if type(other) == 'string' and #other == #id
       and string.find(other, '^[0-9a-f]+$')
    then
        return other, string.sub(gen, 1, -#id - 1) .. other
    end
end

-- A generation past its time in the queue is as good as ended, and so is one
-- that runs past its lease and the margin, or its deadline: "check" ends them.

local function goes_on(key)
    local state, due, till, deadline =
        unpack(redis.pcall('HMGET', key .. ':own', 'state', 'due', 'till',
                           'deadline'))
    local last = tonumber(due) or 0

    if state == 'r' then
        last = math.min((tonumber(till) or 0) + MARGIN, tonumber(deadline) or 0)
    end

    return redis.call('TYPE', key).ok == 'stream'
           and (state == 'q' or state == 'r') and last >= now
end

-- one that can be joined

local function announced_other()
    local other, key = named(redis.pcall('GET', live))

    if other and goes_on(key) then
        return other, key
    end
end
