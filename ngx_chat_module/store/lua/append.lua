#!lua flags=allow-oom
-- Writes chunks, or renews the lease alone.  The token decides, not the time:
-- the end of a lease only allows others to claim.
--
-- A generation that is given back waits in the queue as it did at first, for
-- as long, and the try does not count, but the return does.  It keeps the
-- token, which may not write any more, so that a repeat is seen.
--
-- KEYS  live gen own
-- ARGV  id, token, n0, lease ("": as it is, "0": given back), fresh 0 or 1
--       (a "processing" goes first), chunk ...
--
-- {"OK", heard, stop}   written, now or when this was sent before; how many
--                       listen; 1 if it is asked to stop
-- {"LOST"}              the token is not the writer's
-- {"GAP"}               n0 does not go on where the stream ends

local live, gen, own = unpack(KEYS)
local id, token, n0, lease, fresh = unpack(ARGV, 1, 5)

--include lib/now.lua
--include lib/generation.lua
--include lib/events.lua

local CHUNKS = 6
local count = #ARGV - CHUNKS + 1 + fresh
local till = lease ~= '' and now + lease
local back = lease == '0'
local heard

local function answer()
    return {'OK', heard, redis.call('HEXISTS', own, 'stop')}
end

if back and g and g.state == 'q' and g.token == token then
    heard = listeners()

    return answer()
end

if not writes(token) then
    return {'LOST'}
end

local fits = count > 0 and tonumber(n0) == g.n + 1

if count > 0 and not fits and n0 + count - 1 ~= g.n then
    return {'GAP'}
end

if fits then

    if fresh == '1' then
        processing()
    end

    for i = CHUNKS, #ARGV do
        local chunk = ARGV[i]

        event('s ' .. #chunk .. '\n' .. chunk .. '\n',
              'streaming', 'chunk', chunk)
        g.bytes = g.bytes + #chunk
    end
end

redis.call('HSET', own, 'till', till or g.till, 'n', g.n, 'ms', g.ms,
           'base', g.base, 'bytes', g.bytes)

if back then
    redis.call('HSET', own, 'state', 'q', 'tries', g.tries - 1,
               'due', now + g.wait, 'returns', returns() + 1)
    keep(g.wait)

elseif till then
    keep()
end

heard = fits and publish() or listeners()

if heard > 0 then
    redis.call('HSET', own, 'joined', now)
end

return answer()
