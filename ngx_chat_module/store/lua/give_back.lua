#!lua flags=allow-oom
-- Queues a copy of a task that was taken, and takes the task out.
--
-- KEYS  tasks
-- ARGV  entry
--
-- {"OK"}
-- {"GONE"}   no such task, or this was sent before

local tasks, entry = KEYS[1], ARGV[1]
local task = redis.call('XRANGE', tasks, entry, entry)[1]

if not task then
    return {'GONE'}
end

redis.call('XADD', tasks, '*', unpack(task[2]))
redis.call('XDEL', tasks, entry)
redis.call('XACK', tasks, 'fill', entry)

return {'OK'}
