-- tasks that no filler has taken yet

local function waiting()
    local length = redis.call('XLEN', tasks)
    local pending = redis.pcall('XPENDING', tasks, 'fill')

    return length - (pending[1] or 0)
end
