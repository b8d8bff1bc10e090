#!lua flags=allow-oom
-- Queues a copy of a task that was taken, and takes the task out.
--
-- KEYS  queue that it is in, tasks
-- ARGV  entry
--
-- {"OK"}
-- {"GONE"}   no such task, or this was sent before

local from, tasks = unpack(KEYS)
local entry = ARGV[1]
local task = redis.call('XRANGE', from, entry, entry)[1]

if not task then
    return {'GONE'}
end

redis.call('XADD', tasks, '*', unpack(task[2]))
redis.call('XDEL', from, entry)
redis.call('XACK', from, 'fill', entry)

return {'OK'}
