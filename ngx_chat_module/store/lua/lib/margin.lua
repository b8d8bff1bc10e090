-- from the end of a lease until others call its generation lost, ms; as
-- NGX_CHAT_MARGIN

local MARGIN = 10000
