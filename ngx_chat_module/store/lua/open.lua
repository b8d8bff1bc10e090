#!lua
-- Opens generation id, unless an answer is cached or another can be joined.
--
-- KEYS  S live gen own update
-- ARGV  id, cache 0 or 1 (2: S is known to hold no answer; 3: a refresh, which
--       is to replace it), no room 0 or 1 (a task would not be taken, so
--       nothing is opened), queue timeout, fp, label of the attempt of a worker
--       that leads it, or ""
--
-- {"MISS"}                     opened, now or when this was sent before
-- {"JOIN", id}                 this one runs already
-- {"FULL"}                     it would be opened, if there was room
-- {"HIT", ms left, {fields}}   the last entry of S

local S, live, gen, own, update = unpack(KEYS)
local id, cache, no_room, wait, fp, label = unpack(ARGV)

--include lib/now.lua
--include lib/answer.lua
--include lib/margin.lua
--include lib/others.lua
--include lib/create.lua

-- a repeat comes first: what was opened must get its task

if created() then
    return {'MISS'}
end

if cache == '1' then
    local found, fields = answer(S)
    local left = found and redis.call('PTTL', S)

    if found and found.fp == fp and fresh(found, left) and complete(found) then
        return {'HIT', left, fields}
    end
end

local joins = cache == '1' or cache == '2'

if joins then
    local other, key = announced_other()

    if other then
        local own = key .. ':own'
        local opened = redis.call('HMGET', own, 'opened')[1]

        redis.call('HSET', own, 'joined',
                   math.max(now, tonumber(opened) or 0))

        return {'JOIN', other}
    end
end

if no_room == '1' then
    return {'FULL'}
end

create(label)

if joins then
    announce()
elseif cache == '3' then
    replaces(0)
end

return {'MISS'}
