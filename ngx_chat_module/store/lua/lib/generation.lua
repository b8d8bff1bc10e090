-- g: what own says of generation id (keys live, gen, own), or nil if it is
-- gone: both of its keys must be there, with their types and all fields

--include lib/keep.lua

local f = redis.pcall('HMGET', own, 'n', 'ms', 'bytes', 'base', 'till',
                      'joined', 'state', 'token', 'tries', 'task', 'opened',
                      'due', 'deadline', 'wait', 'returns', 'call', 'fill',
                      'by')
local size = redis.pcall('XLEN', gen)

-- the last four may be missing: a release without them may have opened it

local g = {
    n = tonumber(f[1]), ms = tonumber(f[2]), bytes = tonumber(f[3]),
    base = f[4], till = tonumber(f[5]), joined = tonumber(f[6]),
    state = f[7], token = f[8], tries = tonumber(f[9]), task = f[10],
    opened = tonumber(f[11]), due = tonumber(f[12]),
    deadline = tonumber(f[13]), wait = tonumber(f[14]),
    returns = tonumber(f[15]) or 0, call = f[16] or '',
    fill = tonumber(f[17]) or 0, by = f[18] or ''
}

if type(size) == 'table' or size == 0
   or not (g.n and g.ms and g.bytes and g.base and g.till and g.joined
           and g.state and g.token and g.tries and g.task and g.opened
           and g.due and g.deadline and g.wait)
then
    g = nil
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
