#!lua
-- Says whether a task could be queued, and leaves none.
--
-- KEYS  tasks
--
-- {"OK"}

local tasks = KEYS[1]

--include lib/waiting.lua

waiting()

local id = redis.call('XADD', tasks, 'NOMKSTREAM', '*', 'h', '')

if id then
    redis.call('XDEL', tasks, id)
end

return {'OK'}
