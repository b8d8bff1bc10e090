#!lua flags=allow-oom
-- Tasks that were taken but not touched for a while.  They stay as they are;
-- those whose data is gone are acknowledged.  More than fit into a reply are
-- left for the next time.
--
-- KEYS  tasks
-- ARGV  owner or "", idle time, count
--
-- {{entry, {field, value, ...}}, ...}

local tasks = KEYS[1]
local owner, idle, count = unpack(ARGV)

local range = {'IDLE', idle, '-', '+', count}
local LIMIT = 32 * 1024 * 1024
local found = {}
local size = 0

if owner ~= '' then
    range[#range + 1] = owner
end

local pending = redis.pcall('XPENDING', tasks, 'fill', unpack(range))

if pending.err and string.find(pending.err, '^NOGROUP') then
    return {}
end

if pending.err then
    return pending
end

for _, item in ipairs(pending) do
    local task = redis.call('XRANGE', tasks, item[1], item[1])[1]

    if task then
        for _, text in ipairs(task[2]) do
            size = size + #text
        end

        if #found > 0 and size > LIMIT then
            break
        end

        found[#found + 1] = task

    else
        redis.call('XACK', tasks, 'fill', item[1])
    end
end

return found
