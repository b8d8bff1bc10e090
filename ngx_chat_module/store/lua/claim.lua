#!lua flags=allow-oom
-- Takes a generation for a job, or says why not.
--
-- KEYS  live gen own
-- ARGV  id, token, task, predecessor or "", lease, margin, budget, max tries,
--       max returns, alone 0 or 1, message of queue_timeout, message of
--       interrupted
--
-- {"RUN", n, ms, tries}   the token's, now or when this was sent before
-- {"BUSY"}                another has it, or it is left to a process alone
-- {"DUP"}                 another has it, for another task
-- {"DONE"}                ended, now or before
-- {"GONE"}

local live, gen, own = unpack(KEYS)
local id, token, task, predecessor, lease, margin, budget, max,
      max_returns, alone, late, interrupted = unpack(ARGV)

--include lib/now.lua
--include lib/generation.lua
--include lib/events.lua
--include lib/close.lua

local till = now + lease
local deadline = till + margin + budget
local left = max - (g and g.tries or 0)

if not g then
    return {'GONE'}
end

if g.state == 'q' then

    if now > g.due then
        close_failed(late, 'queue_timeout')
        return {'DONE'}
    end

elseif g.state ~= 'r' then
    return {'DONE'}

elseif g.token == token then
    return {'RUN', g.n, g.ms, g.tries}

elseif g.till > now and string.match(g.token, '^[^.]*') ~= predecessor then
    return {g.task == task and 'BUSY' or 'DUP'}
end

if g.tries > 0 and left <= 0 or returns() > tonumber(max_returns) then
    close_failed(interrupted, 'interrupted')
    return {'DONE'}

elseif g.tries > 0 and left == 1 and alone == '0' then
    return {'BUSY'}
end

local written = g.n > tonumber(string.match(g.base, '%d+$'))

g.tries = g.tries + 1

if written then
    processing()
end

redis.call('HSET', own, 'state', 'r', 'token', token, 'task', task,
           'till', till, 'tries', g.tries, 'n', g.n, 'ms', g.ms,
           'base', g.base, 'bytes', g.bytes, 'deadline', deadline)
keep()

if written then
    publish()
end

return {'RUN', g.n, g.ms, g.tries}
