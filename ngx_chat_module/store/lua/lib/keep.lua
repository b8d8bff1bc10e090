-- How long a generation (keys live, gen, own) stays, at least

local LIFE = 60000

-- may others join it

local function announced()
    return redis.pcall('GET', live) == id
end

local function keep(longer)
    local life = LIFE + longer .. ''

    redis.call('PEXPIRE', own, life)
    redis.call('PEXPIRE', gen, life)

    if announced() then
        redis.call('PEXPIRE', live, life)
    end
end
