#!lua flags=allow-oom
-- Ends a generation that is complete, and caches its answer.
--
-- KEYS  S live gen own
-- ARGV  id, token, n0, ttl (0: not cached), text, cuts, finish reason, fp,
--       provider, model, usage or "", how long it is kept beyond its ttl
--
-- {"OK"}     ended, now or when this was sent before
-- {"LOST"}   the token is not the writer's
-- {"GAP"}    the stream is not what the job wrote

local S, live, gen, own = unpack(KEYS)
local id, token, n0, ttl, text, cuts, finish, fp, provider, model,
      usage, stale = unpack(ARGV)

--include lib/now.lua
--include lib/generation.lua
--include lib/events.lua
--include lib/close.lua
--include lib/answer.lua

-- does the stream hold the n entries and end where own says; a last id beyond
-- that would let XADD fail when S is half made

local function whole()
    local info = redis.call('XINFO', 'STREAM', gen)
    local i = 1

    while info[i] and info[i] ~= 'last-generated-id' do
        i = i + 2
    end

    return size == g.n and info[i + 1] == g.ms .. '-' .. g.n
end

-- does S hold an answer opened after this one

local function outdated()
    local found = answer(S)
    local opened = found and tonumber(found.opened)

    return opened and opened > g.opened and opened <= now and complete(found)
end

if g and g.state == 'd' and g.token == token then
    return {'OK'}
end

if not writes(token) then
    return {'LOST'}
end

if tonumber(n0) ~= g.n + 1 or #text ~= g.bytes or not whole() then
    return {'GAP'}
end

if tonumber(ttl) > 0 and not outdated() then
    local kept = tonumber(stale) > 0
    local entry = {'status', 'completed', 'chunk', text, 'cuts', cuts,
                   'v', kept and 2 or 1, 'fp', fp, 'gen', id,
                   'opened', g.opened, 'sizes', sizes(text, cuts),
                   'provider', provider, 'model', model, 'finish', finish}

    if g.call ~= '' then
        entry[#entry + 1] = 'call'
        entry[#entry + 1] = g.call
    end

    if usage ~= '' then
        entry[#entry + 1] = 'usage'
        entry[#entry + 1] = usage
    end

    if kept then
        entry[#entry + 1] = 'stale'
        entry[#entry + 1] = stale
    end

    redis.call('COPY', gen, S, 'REPLACE')
    redis.call('XTRIM', S, 'MINID', g.base)
    redis.call('XADD', S, next_ms() .. '-' .. n0, unpack(entry))
    redis.call('PEXPIRE', S, string.format('%.0f', ttl + stale))
end

close('d', 'c ' .. #finish .. ' ' .. #provider .. ' ' .. #model .. '\n'
           .. finish .. provider .. model .. '\n',
      'completed', 'finish', finish, 'provider', provider, 'model', model)

return {'OK'}
