#!lua flags=allow-oom
-- Ends a generation with an error.
--
-- KEYS  live gen own
-- ARGV  id, token, message, code
--
-- {"OK"}
-- {"LOST"}   the token is not the writer's, or this was sent before

local live, gen, own = unpack(KEYS)
local id, token, message, code = unpack(ARGV)

--include lib/now.lua
--include lib/generation.lua
--include lib/events.lua
--include lib/close.lua

if not writes(token) then
    return {'LOST'}
end

close_failed(message, code)

return {'OK'}
