-- g: what own says of generation id (keys live, gen, own), or nil if it is
-- gone: both of its keys must be there, with their types and all fields

local LIFE = 60000

local function generation()
    local texts = 4
    local names = {'state', 'token', 'task', 'base', 'till', 'tries', 'n',
                   'ms', 'bytes', 'joined', 'opened', 'due', 'deadline',
                   'wait'}
    local values = redis.pcall('HMGET', own, unpack(names))
    local size = redis.pcall('XLEN', gen)
    local g = {}

    if values.err or type(size) == 'table' or size == 0 then
        return nil
    end

    for i, name in ipairs(names) do
        local value = values[i] or nil

        g[name] = i <= texts and value or tonumber(value)

        if not g[name] then
            return nil
        end
    end

    return g
end

local g = generation()

-- fields that may be missing: the release before does not know them

local function more()
    local values = redis.call('HMGET', own, 'returns', 'call', 'fill', 'by',
                              'heard')

    g.returns = tonumber(values[1] or nil) or 0
    g.call = values[2] or ''
    g.fill = tonumber(values[3] or nil) or 0
    g.by = values[4] or ''
    g.heard = tonumber(values[5] or nil) or 0
end

-- may others join it

local function announced()
    return redis.pcall('GET', live) == id
end

local function hide()
    if announced() then
        redis.call('DEL', live)
    end
end

-- has this token the right to write

local function writes(token)
    return g and g.state == 'r' and g.token == token
end

local function keep(longer)
    local life = LIFE + (longer or 0)

    redis.call('PEXPIRE', own, life)
    redis.call('PEXPIRE', gen, life)

    if announced() then
        redis.call('PEXPIRE', live, life)
    end
end
