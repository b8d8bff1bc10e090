#!lua flags=allow-oom
-- Takes a task out of the queue.  Deleted first, since an entry that is
-- acknowledged but there would look like one that waits.
--
-- KEYS  queue
-- ARGV  entry
--
-- {"OK"}

redis.call('XDEL', KEYS[1], ARGV[1])
redis.call('XACK', KEYS[1], 'fill', ARGV[1])

return {'OK'}
