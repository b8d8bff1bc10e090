#!lua
-- Opens generation id, which is to replace an answer past its TTL, unless that
-- is not there any more, or something is under way already.
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
--include lib/margin.lua
--include lib/others.lua
--include lib/create.lua

-- from the end of an update that was in vain to the next one; twice as long
-- from each to the next, as an answer that is not cached is paid for in vain

local PAUSE = 5000
local LONGEST = 60000

-- Does the generation that was opened last to replace the answer, and has not,
-- go on, or did it end a moment ago?  And the pause behind the next one.

local function last(found)
    local value = redis.pcall('GET', update)
    local name, pause = string.match(type(value) == 'string' and value or '',
                                     '^(%x+) (%d+)$')
    local other, key = named(name)

    if not other or other == found.gen then
        return false, PAUSE
    end

    local opened, ms = unpack(redis.pcall('HMGET', key .. ':own', 'opened',
                                          'ms'))

    pause = math.min(tonumber(pause), LONGEST)

    -- dropped before it began, or long ended

    if not tonumber(opened) then
        return false, math.max(pause, PAUSE)
    end

    local ended = opened + (tonumber(ms) or 0)

    return goes_on(key) or ended > now - pause,
           math.max(math.min(2 * pause, LONGEST), PAUSE)
end

if created() then
    return {'OK'}
end

local found = answer(S)

if not found or found.fp ~= fp or fresh(found, redis.call('PTTL', S)) then
    return {'NONE'}
end

local blocked, pause = last(found)

if blocked or announced_other() then
    return {'NONE'}
end

create('')
announce()
replaces(pause)

return {'OK'}
