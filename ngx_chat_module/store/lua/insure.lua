#!lua flags=allow-oom
-- Adds the task of a led generation, pending with the filler that writes it
-- from the first moment: nobody waits for it, and others find it if that filler
-- dies.  Sent again after a lost reply it adds a second one.
--
-- KEYS  led
-- ARGV  consumer; field, value, ...
--
-- {"OK", entry}

local led, consumer = KEYS[1], ARGV[1]

local pending = redis.pcall('XPENDING', led, 'fill')

if pending.err and string.find(pending.err, '^NOGROUP') then
    redis.call('XGROUP', 'CREATE', led, 'fill', '0', 'MKSTREAM')
end

local entry = redis.call('XADD', led, '*', unpack(ARGV, 2))

redis.call('XCLAIM', led, 'fill', consumer, 0, entry, 'FORCE', 'JUSTID',
           'LASTID', entry)

return {'OK', entry}
