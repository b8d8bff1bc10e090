-- A new generation id (keys gen, own), for which a task may wait for so long

local life = wait + 60000

-- what a former call like this has made is there as a whole

local function created()
    return redis.call('TYPE', gen).ok == 'stream'
           and redis.call('TYPE', own).ok == 'hash'
end

-- label: of the attempt of a worker that leads it, or ""

local function create(label)
    local due = now + wait

    redis.call('DEL', gen, own)

    if label ~= '' then
        redis.call('XADD', gen, '0-1', 'status', 'processing', 'call', label)
    else
        redis.call('XADD', gen, '0-1', 'status', 'processing')
    end

    redis.call('PEXPIRE', gen, life)

    -- Fields that an append reads come first: Redis looks from there.  "joined"
    -- is earlier than "opened" until somebody has joined (see check).

    redis.call('HSET', own, 'n', '1', 'ms', '0', 'bytes', '0',
               'joined', now - 1, 'state', 'q', 'token', '', 'tries', '0',
               'opened', now, 'base', '0-1', 'till', '0', 'task', '',
               'due', due, 'deadline', due + MARGIN, 'wait', wait,
               'call', label)
    redis.call('PEXPIRE', own, life)
end

-- Others may join it.

local function announce()
    redis.call('SET', live, id, 'PX', life)
end

-- Updates look at the generation that is to replace what is at S, as long as
-- that is there: while it goes on, and for so many ms after it was in vain, no
-- other one is begun.

local function replaces(pause)
    redis.call('SET', update, id .. ' ' .. pause,
               'PX', math.max(redis.call('PTTL', S), life))
end
