#!lua
-- Opens generation id, unless an answer is cached or another can be joined.
--
-- KEYS  S live gen own
-- ARGV  id, cache 0 or 1 (2: S is known to hold no answer), no room 0 or 1 (a
--       task would not be taken, so nothing is opened), queue timeout, fp,
--       label of the attempt of a worker that leads it, or ""
--
-- {"MISS"}                     opened, now or when this was sent before
-- {"JOIN", id}                 this one runs already
-- {"FULL"}                     it would be opened, if there was room
-- {"HIT", ms left, {fields}}   the last entry of S

local S, live, gen, own = unpack(KEYS)
local id, cache, no_room, wait, fp, label = unpack(ARGV)

--include lib/now.lua
--include lib/answer.lua

local MARGIN = 10000

local due = now + wait
local life = wait + 60000

local function exists(key, kind)
    return redis.call('TYPE', key).ok == kind
end

-- A generation past its time in the queue is as good as ended, and will be by
-- whoever looks.

local function join(key)
    local own = key .. ':own'
    local state, due, opened = unpack(redis.pcall('HMGET', own, 'state', 'due',
                                                  'opened'))

    if not exists(key, 'stream')
       or state ~= 'r' and (state ~= 'q' or (tonumber(due) or 0) < now)
    then
        return false
    end

    redis.call('HSET', own, 'joined', math.max(now, tonumber(opened) or 0))

    return true
end

-- a repeat comes first: what was opened must get its task

local left = redis.call('EXISTS', gen, own)

if left == 2 and exists(gen, 'stream') and exists(own, 'hash') then
    return {'MISS'}
end

if cache == '1' then
    local found, fields = answer(S)

    if found and found.fp == fp and complete(found) then
        return {'HIT', redis.call('PTTL', S), fields}
    end
end

if cache ~= '0' then
    local other = redis.pcall('GET', live)

    if type(other) == 'string' and #other == #id
       and string.find(other, '^[0-9a-f]+$')
    then
        local key = string.sub(gen, 1, -#id - 1) .. other

        if join(key) then
            return {'JOIN', other}
        end
    end
end

if no_room == '1' then
    return {'FULL'}
end

if left > 0 then
    redis.call('DEL', gen, own)
end

if label ~= '' then
    redis.call('XADD', gen, '0-1', 'status', 'processing', 'call', label)
else
    redis.call('XADD', gen, '0-1', 'status', 'processing')
end

redis.call('PEXPIRE', gen, life)

-- Fields that an append reads come first: Redis looks from there.  "joined" is
-- earlier than "opened" until somebody has joined (see check).

redis.call('HSET', own, 'n', '1', 'ms', '0', 'bytes', '0', 'joined', now - 1,
           'state', 'q', 'token', '', 'tries', '0', 'opened', now,
           'base', '0-1', 'till', '0', 'task', '', 'due', due,
           'deadline', due + MARGIN, 'wait', wait, 'call', label)
redis.call('PEXPIRE', own, life)

if cache ~= '0' then
    redis.call('SET', live, id, 'PX', life)
end

return {'MISS'}
