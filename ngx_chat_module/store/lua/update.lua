#!lua
-- Opens generation id, which is to replace an answer past its TTL, unless that
-- is not there any more, or something is under way already.  Nobody joins it.
--
-- KEYS  S live gen own update
-- ARGV  id, queue timeout, fp
--
-- {"OK"}     opened, now or when this was sent before
-- {"NONE"}   not necessary, or not yet

local S, live, gen, own, update = unpack(KEYS)
local id, wait, fp = unpack(ARGV)

--include lib/now.lua
--include lib/answer.lua
--include lib/others.lua
--include lib/create.lua

-- from the end of an update that was in vain to the next one

local PAUSE = 5000

-- The last update has replaced the answer, or goes on, or failed a while ago.

local function blocked(found)
    local other, key = named(update)

    if not other or other == found.gen then
        return false
    end

    local opened, ms = unpack(redis.pcall('HMGET', key .. ':own', 'opened',
                                          'ms'))
    local ended = (tonumber(opened) or 0) + (tonumber(ms) or 0)

    return goes_on(key) or ended > now - PAUSE
end

if created() then
    return {'OK'}
end

local found = answer(S)

if not found or found.fp ~= fp or fresh(S, found) or blocked(found) then
    return {'NONE'}
end

local other, key = named(live)

if other and goes_on(key) then
    return {'NONE'}
end

create('')
redis.call('SET', update, id, 'PX', math.max(redis.call('PTTL', S), 1))

return {'OK'}
