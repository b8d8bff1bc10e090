#!lua flags=allow-oom
-- Ends a generation that nobody can end any more, or that is to be dropped
-- while it still waits in the queue.  One that was taken from there and given
-- back (it has a token) has its task for sure, and is not dropped.
--
-- KEYS  live gen own
-- ARGV  id, code to drop it with or "", message for that, erase 0 or 1 (what
--       is dropped is deleted if nobody has joined it), margin, message of
--       queue_timeout, message of interrupted
--
-- {"LIVE", n}, {"ENDED", n}   n: number of its last event
-- {"GONE"}

local live, gen, own = unpack(KEYS)
local id, drop, dropped, erase, margin, late, interrupted = unpack(ARGV)

--include lib/now.lua
--include lib/generation.lua
--include lib/events.lua
--include lib/close.lua

local limit = now - margin

if not g then
    hide()

    return {'GONE'}
end

if g.state ~= 'q' and g.state ~= 'r' then
    return {'ENDED', g.n}
end

if g.state == 'q' and now > g.due then
    close_failed(late, 'queue_timeout')

elseif g.state == 'q' and g.token == '' and drop ~= '' then

    if erase == '1' and g.joined < g.opened then
        hide()
        redis.call('DEL', gen, own)

    else
        close_failed(dropped, drop)
    end

elseif g.state == 'r' and (g.till < limit or g.deadline < now) then
    close_failed(interrupted, 'interrupted')

else
    redis.call('HSET', own, 'joined', now)

    return {'LIVE', g.n}
end

return {'ENDED', g.n}
