-- A rate limit: once in each interval, on average, and burst times besides at
-- once.  The key holds the time in us when all that happened will have been
-- made up for, and whose turn was the last, and is gone by then.

local us, full, last

-- ms until it may happen again, 0: now.  A value beyond what can have been
-- counted, as after a step of the clock, is as much as can.

local function over(key, interval, burst)
    local value = redis.pcall('GET', key)
    local time = redis.call('TIME')
    local till

    us = time[1] * 1000000 + time[2]
    full = us

    local most = us + (burst + 1) * interval

    if type(value) == 'string' then
        till, last = string.match(value, '^(%d+) ?(%x*)$')
    end

    if till then
        full = math.min(math.max(tonumber(till), us), most)
    end

    return math.ceil(math.max(full - burst * interval - us, 0) / 1000)
end

-- the turn of who is counted; after over() only

local function count(key, interval, who)
    full = full + interval

    redis.call('SET', key, string.format('%.0f %s', full, who),
               'PX', math.ceil((full - us) / 1000))
end
