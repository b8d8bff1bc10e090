-- The events of one step: each is written to the stream, and all travel in
-- one message (see ngx_chat_message.h).  Only the first XADD can fail, so it
-- is the first write of a script; publishing, which rights may forbid, comes
-- after own has been written.

local lines = {}

local function next_ms()
    return math.max(g.ms, now - g.opened)
end

local function event(line, ...)
    g.ms = next_ms()
    g.n = g.n + 1
    lines[#lines + 1] = line

    return redis.call('XADD', gen, 'NOMKSTREAM', g.ms .. '-' .. g.n,
                      'status', ...)
end

local function processing(label)
    g.base = event('p\n', 'processing', 'call', label)
    g.bytes = 0
end

-- both answer how many listen

local function publish()
    local n0 = g.n - #lines + 1

    return redis.call('PUBLISH', gen,
                      '1 ' .. g.tries .. ' ' .. n0 .. ' ' .. g.ms .. ' '
                      .. #lines .. '\n' .. table.concat(lines))
end

local function listeners()
    return redis.call('PUBSUB', 'NUMSUB', gen)[2]
end
