-- The end of a generation, in state d or f

local function close(state, line, ...)
    event(line, ...)

    redis.call('HSET', own, 'state', state, 'n', g.n, 'ms', g.ms)
    redis.call('PEXPIRE', own, LIFE)
    redis.call('PEXPIRE', gen, LIFE)

    hide()
    publish()
end

local function close_failed(message, code)
    close('f',
          'e ' .. #message .. ' ' .. #code .. '\n' .. message .. code .. '\n',
          'error', 'message', message, 'code', code)
end
