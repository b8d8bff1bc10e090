#!lua flags=allow-oom
-- Writes chunks, or renews the lease alone.  The token decides, not the time:
-- the end of a lease only allows others to claim.
--
-- A generation that is given back waits in the queue as it did at first, for
-- as long, and the try does not count, but the return does.  It keeps the
-- token, which may not write any more, so that a repeat is seen.
--
-- This runs for each piece of text: it reads the fields that it needs, calls
-- no function of its own, and leaves numbers alone that are digits already.
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

local live, gen, own = KEYS[1], KEYS[2], KEYS[3]
local id, token, n0, lease = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local label, task = ARGV[5], ARGV[6]

--include lib/now.lua
--include lib/keep.lua

local CHUNKS = 7
local SECOND = 1000
local SILENCE = 5 * SECOND    -- as NGX_CHAT_SILENCE

local till = lease ~= '' and now + lease

local n, ms, bytes, joined, heard, state, owner, tries, opened, stop =
    unpack(redis.pcall('HMGET', own, 'n', 'ms', 'bytes', 'joined', 'heard',
                       'state', 'token', 'tries', 'opened', 'stop'))
local size = redis.pcall('XLEN', gen)

n, ms, bytes = tonumber(n), tonumber(ms), tonumber(bytes)
joined, opened = tonumber(joined), tonumber(opened)
stop = stop and 1 or 0

if owner ~= token or type(size) == 'table' or size == 0
   or not (n and ms and bytes and joined and tries and opened)
then
    return {'LOST'}
end

if state == 'q' and lease == '0' then
    return {'OK', redis.call('PUBSUB', 'NUMSUB', gen)[2], stop}
end

if state ~= 'r' then
    return {'LOST'}
end

local count = #ARGV - CHUNKS + 1

if label ~= '' then
    count = count + 1
end

local written = count > 0 and tonumber(n0) == n + 1

if count > 0 and not written and n0 + count - 1 ~= n then
    return {'GAP'}
end

local message

if written then
    local lines = {}

    if now - opened > ms then
        ms = now - opened
    end

    local at = ms .. '-'

    if label ~= '' then
        redis.call('XADD', gen, 'NOMKSTREAM', at .. n0, 'status', 'processing',
                   'call', label)
        redis.call('HSET', own, 'base', at .. n0, 'call', label, 'by', token)

        n = n + 1
        bytes = 0
        lines[1] = 'p\n'
    end

    for i = CHUNKS, #ARGV do
        local chunk = ARGV[i]

        n = n + 1
        bytes = bytes + #chunk
        lines[#lines + 1] = 's ' .. #chunk .. '\n' .. chunk .. '\n'

        redis.call('XADD', gen, 'NOMKSTREAM', at .. n, 'status', 'streaming',
                   'chunk', chunk)
    end

    redis.call('HSET', own, 'n', n, 'ms', ms, 'bytes', bytes)

    message = '1 ' .. tries .. ' ' .. n0 .. ' ' .. ms .. ' ' .. count .. '\n'
              .. table.concat(lines)
end

if task ~= '' then
    redis.call('HSET', own, 'task', task)
end

if lease == '0' then
    local wait, returns = unpack(redis.call('HMGET', own, 'wait', 'returns'))

    wait = tonumber(wait) or 0

    redis.call('HSET', own, 'till', till, 'state', 'q', 'tries', tries - 1,
               'due', now + wait, 'returns', (tonumber(returns) or 0) + 1)
    keep(wait)

elseif till then
    redis.call('HSET', own, 'till', till)
    keep(0)
end

local listen = message and redis.call('PUBLISH', gen, message)
               or redis.call('PUBSUB', 'NUMSUB', gen)[2]

-- Who has joined and does not listen yet counts as one who does.  What is known
-- from listeners alone does not, as it would outlast them; and it is written
-- down once a second, not with each chunk.

heard = tonumber(heard) or 0

if listen == 0 then

    if joined > heard and joined >= opened and joined > now - SILENCE then
        listen = 1
    end

elseif joined ~= heard or now - joined > SECOND then
    redis.call('HSET', own, 'joined', now, 'heard', now)
end

return {'OK', listen, stop}
