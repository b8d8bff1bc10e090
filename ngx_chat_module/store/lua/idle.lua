#!lua flags=allow-oom
-- Tasks that were taken but not touched for a while.  They stay as they are;
-- those whose data is gone are acknowledged.
--
-- KEYS  tasks
-- ARGV  owner or "", idle time, count
--
-- {{entry, {field, value, ...}}, ...}

local tasks = KEYS[1]
local owner, idle, count = unpack(ARGV)

local range = {'IDLE', idle, '-', '+', count}
local found = {}

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
        found[#found + 1] = task

    else
        redis.call('XACK', tasks, 'fill', item[1])
    end
end

return found
