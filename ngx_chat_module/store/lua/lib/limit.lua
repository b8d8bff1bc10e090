-- What may happen once in each interval, on average, and burst times besides
-- at once.  The key holds the time in us when all that happened will have been
-- made up for, and is gone by then.

local us, full

-- ms until it may happen again, 0: now.  A value beyond what can have been
-- counted, as after a step of the clock, is as much as can.

local function over(key, interval, burst)
    local value = redis.pcall('GET', key)
    local time = redis.call('TIME')

    us = time[1] * 1000000 + time[2]
    full = us

    local most = us + (burst + 1) * interval

    if type(value) == 'string' and string.find(value, '^%d+$') then
        full = math.min(math.max(tonumber(value), us), most)
    end

    return math.ceil(math.max(full - burst * interval - us, 0) / 1000)
end

-- it happens; after over() only

local function count(key, interval)
    full = full + interval

    redis.call('SET', key, string.format('%.0f', full),
               'PX', math.ceil((full - us) / 1000))
end
