#!lua flags=allow-oom
-- Takes a generation for a job, or says why not.
--
-- A lane's job follows another of the same leader, whatever the lease says, if
-- its fill is a later one.  It goes on behind the text of its own attempt, if
-- the former writer had that from a claim or append like these: what a release
-- without labels wrote in between is not told by them, but its token is.
--
-- KEYS  live gen own
-- ARGV  id, token, task ("": a lane's job), predecessor: token of a job, or of
--       all jobs of a filler, whose lease does not count, or "", label of the
--       attempt, number of the fill (0: no lane), lease, margin, budget, max
--       tries, max returns, alone 0 or 1, message of queue_timeout, message of
--       interrupted
--
-- {"RUN", n, ms, tries, bytes, task, joined}
--             the token's, now or when this was sent before; bytes of this
--             attempt that are there; entry of a queue that it has, or "";
--             1 if somebody has joined it
-- {"BUSY"}    another has it, or it is left to a process alone
-- {"DUP"}     another has it, for another task
-- {"DONE"}    ended, now or before
-- {"GONE"}

local live, gen, own = unpack(KEYS)
local id, token, task, predecessor, label, fill, lease, margin, budget, max,
      max_returns, alone, late, interrupted = unpack(ARGV)

--include lib/now.lua
--include lib/generation.lua
--include lib/events.lua
--include lib/close.lua

local NO_TASK = '-'

local till = now + lease
local deadline = till + margin + budget
local left = max - (g and g.tries or 0)

fill = tonumber(fill)

local function leader(name)
    return string.match(name, '^(.+)%.')
end

local function is_entry(name)
    return string.find(name, '^l?%d+%-%d+$')
end

local function run()
    return {'RUN', g.n, g.ms, g.tries, g.bytes,
            is_entry(g.task) and g.task or '',
            g.joined >= g.opened and 1 or 0}
end

if not g then
    return {'GONE'}
end

local follows = g.state == 'r' and fill > g.fill and leader(label)
                and leader(label) == leader(g.call)

if g.state == 'q' then

    if now > g.due then
        close_failed(late, 'queue_timeout')
        return {'DONE'}
    end

elseif g.state ~= 'r' then
    return {'DONE'}

elseif g.token == token then
    return run()

elseif not follows and g.till > now
       and string.match(g.token, '^[^.]*') ~= predecessor
       and g.token ~= predecessor
then
    if task == '' or g.task == NO_TASK or g.task == task then
        return {'BUSY'}
    end

    return {'DUP'}
end

if not follows then

    if g.tries > 0 and left <= 0 or g.returns > tonumber(max_returns) then
        close_failed(interrupted, 'interrupted')
        return {'DONE'}

    elseif g.tries > 0 and left == 1 and alone == '0' then
        return {'BUSY'}
    end

    g.tries = g.tries + 1
end

-- Clients of a worker that leads have its text before Redis has, and know it by
-- its label: what another attempt writes begins with a "processing", also where
-- nothing was written.

local written = g.base ~= g.ms .. '-' .. g.n
local resumed = follows and g.call == label and g.by == g.token
local led = g.call ~= '' and (g.fill > 0 or g.by == '')
local restart = not resumed and (written or led and g.call ~= label)

if restart then
    processing(label)
end

-- the entry of a generation that was given back is not the one it had

if task ~= '' then
    g.task = task

elseif g.state == 'q' or not is_entry(g.task) then
    g.task = NO_TASK
end

redis.call('HSET', own, 'state', 'r', 'token', token, 'task', g.task,
           'till', till, 'tries', g.tries, 'deadline', deadline,
           'call', label, 'fill', fill, 'by', token)
keep(0)

if restart then
    redis.call('HSET', own, 'n', g.n, 'ms', g.ms, 'base', g.base, 'bytes', '0')
    publish()
end

return run()
