#!lua
-- Queues a task.  Sent again after a lost reply it queues a second one, which
-- claim sees (DUP).
--
-- KEYS  tasks
-- ARGV  limit, field, value, ...
--
-- {"OK"}
-- {"FULL"}   so many wait already

local tasks = KEYS[1]

--include lib/waiting.lua

if waiting() >= tonumber(ARGV[1]) then
    return {'FULL'}
end

redis.call('XADD', tasks, '*', unpack(ARGV, 2))

return {'OK'}
