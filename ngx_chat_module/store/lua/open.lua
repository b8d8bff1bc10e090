#!lua
-- Opens generation id, unless an answer is cached or another can be joined.
--
-- KEYS  S live gen own
-- ARGV  id, cache 0 or 1 (2: S is known to hold no answer), no room 0 or 1 (a
--       task would not be taken, so nothing is opened), queue timeout, fp,
--       label of the attempt of a worker that leads it, or ""
--
-- {"MISS"}                     opened, now or when this was sent before
-- {"JOIN", id}                 this one runs already
-- {"FULL"}                     it would be opened, if there was room
-- {"HIT", ms left, {fields}}   the last entry of S

local S, live, gen, own = unpack(KEYS)
local id, cache, no_room, wait, fp, label = unpack(ARGV)

--include lib/now.lua
--include lib/answer.lua
--include lib/others.lua
--include lib/create.lua

-- a repeat comes first: what was opened must get its task

if created() then
    return {'MISS'}
end

if cache == '1' then
    local found, fields = answer(S)

    if found and found.fp == fp and fresh(S, found) and complete(found) then
        return {'HIT', redis.call('PTTL', S), fields}
    end
end

if cache ~= '0' then
    local other, key = named(live)

    if other and goes_on(key) then
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

if cache ~= '0' then
    redis.call('SET', live, id, 'PX', life)
end

return {'MISS'}
