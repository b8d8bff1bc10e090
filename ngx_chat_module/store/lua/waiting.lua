#!lua flags=no-writes
-- How long the queue is, and for how long the first of it waits.  Tasks are
-- taken in their order, and deleted when they are done: what waits is behind
-- all that was taken.
--
-- KEYS  tasks
--
-- {tasks waiting, ms}

local tasks = KEYS[1]

--include lib/now.lua
--include lib/waiting.lua

local length = waiting()

if length <= 0 then
    return {length, 0}
end

local pending = redis.pcall('XPENDING', tasks, 'fill')
local after = pending[3] and '(' .. pending[3] or '-'
local first = redis.call('XRANGE', tasks, after, '+', 'COUNT', 1)[1]

if not first then
    return {length, 0}
end

return {length, math.max(now - tonumber(string.match(first[1], '^%d+')), 0)}
