#!lua flags=allow-oom
-- Deletes consumers of processes that are gone: nothing pending, idle long.
--
-- KEYS  tasks
-- ARGV  idle time
--
-- {how many}

local tasks, idle = KEYS[1], tonumber(ARGV[1])
local consumers = redis.pcall('XINFO', 'CONSUMERS', tasks, 'fill')
local deleted = 0

for _, list in ipairs(consumers) do
    local consumer = {}

    for i = 1, #list, 2 do
        consumer[list[i]] = list[i + 1]
    end

    if consumer.pending == 0 and consumer.idle >= idle then
        redis.call('XGROUP', 'DELCONSUMER', tasks, 'fill', consumer.name)
        deleted = deleted + 1
    end
end

return {deleted}
