#!lua flags=allow-oom
-- Writes chunks, or renews the lease alone.  The token decides, not the time:
-- the end of a lease only allows others to claim.
--
-- A generation that is given back waits in the queue as it did at first, for
-- as long, and the try does not count, but the return does.  It keeps the
-- token, which may not write any more, so that a repeat is seen.
--
-- KEYS  live gen own
-- ARGV  id, token, n0, lease ("": as it is, "0": given back), label of the
--       attempt that begins ("processing" goes first) or "", entry of a queue
--       that the generation has from now on or "", chunk ...
--
-- {"OK", heard, stop}   written, now or when this was sent before; how many
--                       listen, at least 1 if somebody has joined lately; 1 if
--                       it is asked to stop
-- {"LOST"}              the token is not the writer's
-- {"GAP"}               n0 does not go on where the stream ends

local live, gen, own = unpack(KEYS)
local id, token, n0, lease, label, task = unpack(ARGV, 1, 6)

--include lib/now.lua
--include lib/generation.lua
--include lib/events.lua

local CHUNKS = 7
local SILENCE = 5000
local count = #ARGV - CHUNKS + 1 + (label ~= '' and 1 or 0)
local till = lease ~= '' and now + lease
local back = lease == '0'

-- Who has joined and does not listen yet counts as one who does.  What is known
-- from listeners alone does not: it would outlast them.

local function answer(heard)
    if heard > 0 then
        redis.call('HSET', own, 'joined', now, 'heard', now)

    elseif g.joined > math.max(g.heard, g.opened - 1, now - SILENCE) then
        heard = 1
    end

    return {'OK', heard, redis.call('HEXISTS', own, 'stop')}
end

if g then
    more()
end

if back and g and g.state == 'q' and g.token == token then
    return {'OK', listeners(), redis.call('HEXISTS', own, 'stop')}
end

if not writes(token) then
    return {'LOST'}
end

local fits = count > 0 and tonumber(n0) == g.n + 1

if count > 0 and not fits and n0 + count - 1 ~= g.n then
    return {'GAP'}
end

if fits then

    if label ~= '' then
        processing(label)
        redis.call('HSET', own, 'call', label, 'by', token)
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

if task ~= '' then
    redis.call('HSET', own, 'task', task)
end

if back then
    redis.call('HSET', own, 'state', 'q', 'tries', g.tries - 1,
               'due', now + g.wait, 'returns', g.returns + 1)
    keep(g.wait)

elseif till then
    keep()
end

return answer(fits and publish() or listeners())
