#!lua
-- Queues a task, and counts it where there is a limit; without fields of a task
-- it is only counted.  Sent again after a lost reply it may queue a second one,
-- which claim sees (DUP).  The one that was counted last is not counted again,
-- so that it is not over its own limit.
--
-- KEYS  tasks, limit: what is counted, if anything is
-- ARGV  how many may wait, with limit: interval in us, burst, id of the
--       generation; field, value, ...
--
-- {"OK"}
-- {"LIMIT", ms left}   it would be one too many until then
-- {"FULL"}             so many wait already

local tasks, limit = unpack(KEYS)
local room, interval, burst, id = unpack(ARGV, 1, 4)

--include lib/limit.lua
--include lib/waiting.lua

local FIELDS = limit and 5 or 2
local left = limit and over(limit, interval, burst) or 0

if limit and last == id then
    return {'OK'}
end

if left > 0 then
    return {'LIMIT', left}
end

if not limit or #ARGV >= FIELDS then

    if waiting() >= tonumber(room) then
        return {'FULL'}
    end

    redis.call('XADD', tasks, '*', unpack(ARGV, FIELDS))
end

if limit then
    count(limit, interval, id)
end

return {'OK'}
