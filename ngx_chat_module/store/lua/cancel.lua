#!lua flags=allow-oom
-- Ends a generation that nobody has listened to for the grace time.
--
-- KEYS  live gen own
-- ARGV  id, token, grace, message
--
-- {"OK"}
-- {"HEARD"}   somebody listens, or did so lately
-- {"LOST"}    the token is not the writer's, or this was sent before

local live, gen, own = unpack(KEYS)
local id, token, grace, message = unpack(ARGV)

--include lib/now.lua
--include lib/generation.lua
--include lib/events.lua
--include lib/close.lua

local limit = now - grace

if not writes(token) then
    return {'LOST'}
end

if g.joined >= limit or listeners() > 0 then
    return {'HEARD'}
end

close_failed(message, 'cancelled')

return {'OK'}
