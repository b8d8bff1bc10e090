#!lua flags=no-writes
-- How long the queue is.
--
-- KEYS  tasks
--
-- {tasks waiting}

local tasks = KEYS[1]

--include lib/waiting.lua

return {waiting()}
