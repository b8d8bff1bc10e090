#!lua flags=allow-oom
-- Writes chunks, or renews the lease alone.  The token decides, not the time:
-- the end of a lease only allows others to claim.
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
local heard

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

-- to give back is no failure: this try does not count, and a repeat, which
-- finds the lease over, changes nothing

if lease == '0' and g.till > now then
    g.tries = g.tries - 1
end

redis.call('HSET', own, 'till', till or g.till, 'tries', g.tries, 'n', g.n,
           'ms', g.ms, 'base', g.base, 'bytes', g.bytes)

if till and till > now then
    keep()
end

heard = fits and publish() or listeners()

if heard > 0 then
    redis.call('HSET', own, 'joined', now)
end

return {'OK', heard, redis.call('HEXISTS', own, 'stop')}
