-- POST /chat with Lua, as a good user of nginx would write it: what the module
-- is compared with.  A hit comes from a dictionary in shared memory, or else
-- from one XRANGE over a pooled connection.  On a miss the first request takes
-- a lock and streams the provider's answer to its client and into Redis;
-- requests that come meanwhile follow that stream.

local cjson = require "cjson.safe"
local sha256 = require "nginx.sha256"
local str = require "nginx.string"

local TTL = 900

local encode = cjson.encode
local print, flush = ngx.print, ngx.flush


local function sse(status, chunk)
    return 'data: {"status": "' .. status .. '", "chunk": '
           .. encode(chunk) .. '}\n\n'
end


local function sse_error(message)
    return 'data: {"status": "error", "message": ' .. encode(message) .. '}\n\n'
end


-- Redis: send() without reply() is a pipeline

local function send(sock, ...)
    local n = select("#", ...)
    local out = { "*", n, "\r\n" }

    for i = 1, n do
        local word = tostring((select(i, ...)))

        out[#out + 1] = "$" .. #word .. "\r\n" .. word .. "\r\n"
    end

    return sock:send(out)
end


local function reply(sock)
    local line, err = sock:receive("*l")

    if not line then
        return nil, err
    end

    local kind, rest = line:sub(1, 1), line:sub(2)

    if kind == "+" then
        return rest
    elseif kind == ":" then
        return tonumber(rest)
    elseif kind == "$" then
        local n = tonumber(rest)

        if n < 0 then
            return ngx.null
        end

        local text = sock:receive(n)

        sock:receive(2)
        return text
    elseif kind == "*" then
        local n = tonumber(rest)

        if n < 0 then
            return ngx.null
        end

        local list = {}

        for i = 1, n do
            list[i] = reply(sock)
        end

        return list
    end

    return nil, rest
end


local function command(sock, ...)
    send(sock, ...)
    return reply(sock)
end


local function connect(port)
    local sock = ngx.socket.tcp()

    sock:settimeouts(1000, 5000, 10000)

    local ok, err = sock:connect("127.0.0.1", port, { pool_size = 1024 })

    return ok and sock, err
end


local function keep(sock)
    sock:setkeepalive(60000)
end


-- events of entries {id, {name, value, name, value}}: last id, is it the end?

local function format(entries, out)
    local last, final

    for i = 1, #entries do
        local fields = entries[i][2]
        local status = fields[2]

        last = entries[i][1]

        if status == "error" then
            out[#out + 1] = sse_error(fields[4])
            final = true
        else
            out[#out + 1] = sse(status, fields[4])
            final = status == "completed"
        end
    end

    return last, final
end


-- the stream behind an entry, to its end

local function follow(sock, key, last)
    while true do
        local got, err = command(sock, "XREAD", "BLOCK", 5000, "STREAMS", key,
                                 last)

        if not got then
            print(sse_error(err))
            return
        end

        if got ~= ngx.null then
            local out = {}
            local id, final = format(got[1][2], out)

            last = id or last
            print(out)
            flush(true)

            if final then
                keep(sock)
                return
            end
        elseif command(sock, "EXISTS", key, key .. ":lock") == 0 then
            print(sse_error("the answer was lost"))
            return
        end
    end
end


-- asks the provider, whose answers are chunked: nothing, or an error

local function completion(question, each)
    local sock, err = connect(tonumber(ngx.var.provider_port))

    if not sock then
        return err
    end

    local body = encode({
        model = "bench", stream = true,
        messages = { { role = "user", content = question } },
    })

    sock:send({
        "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n",
        "Content-Type: application/json\r\n",
        "Content-Length: ", #body, "\r\n\r\n", body,
    })

    local line

    repeat
        line, err = sock:receive("*l")

        if not line or line:find("^HTTP/1%.%d [^2]") then
            return err or line
        end
    until line == ""

    local text, done = "", false

    while true do
        local n = tonumber(sock:receive("*l") or "", 16)
        local data = n and n > 0 and sock:receive(n)

        if not n or (n > 0 and not data) then
            return "the provider's answer ended early"
        end

        sock:receive("*l")

        if n == 0 then
            break
        end

        text = text .. data

        local from = 1

        while true do
            local nl = text:find("\n", from, true)

            if not nl then
                break
            end

            local json = text:sub(from, nl - 1):match("^data:%s*(.-)\r?$")

            from = nl + 1

            if json == "[DONE]" then
                done = true
            elseif json then
                local event = cjson.decode(json)
                local choice = event and event.choices and event.choices[1]
                local piece = choice and choice.delta and choice.delta.content

                if not event or event.error then
                    return "a bad event of the provider"
                end

                if type(piece) == "string" and piece ~= "" then
                    each(piece)
                end
            end
        end

        text = text:sub(from)
    end

    keep(sock)
    return not done and "the provider's answer ended early" or nil
end


local function produce(sock, key, question)
    local full = {}

    local err = completion(question, function(text)
        full[#full + 1] = text
        print(sse("streaming", text))
        flush()
        send(sock, "XADD", key, "*", "status", "streaming", "chunk", text)

        -- from the first write on, should this process die

        if #full == 1 then
            send(sock, "EXPIRE", key, TTL)
            reply(sock)
        end

        reply(sock)
    end)

    if err then
        print(sse_error(err))
        send(sock, "XADD", key, "*", "status", "error", "message", err)
    else
        local text = table.concat(full)

        print(sse("completed", text))
        send(sock, "XADD", key, "*", "status", "completed", "chunk", text)
    end

    send(sock, "EXPIRE", key, err and 1 or TTL)
    send(sock, "DEL", key .. ":lock")

    for _ = 1, 3 do
        reply(sock)
    end

    keep(sock)
end


ngx.req.read_body()

local body = ngx.req.get_body_data()
local req = body and cjson.decode(body)

if type(req) ~= "table" or type(req.question) ~= "string" then
    return ngx.exit(422)
end

local hash = sha256:new()

hash:update(req.question)

local key = "chat:stream:" .. str.to_hex(hash:final())

ngx.header.content_type = "text/event-stream"
ngx.header.cache_control = "no-cache"

local answer = ngx.shared.answers:get(key)

if answer then
    print(answer)
    return
end

local sock, err = connect(tonumber(ngx.var.redis_port))

if not sock then
    print(sse_error(err))
    return
end

local entries = command(sock, "XRANGE", key, "-", "+")
local processing = 'data: {"status": "processing"}\n\n'

if entries and #entries > 0 then
    local out = { processing }
    local last, final = format(entries, out)

    print(out)

    if final then
        ngx.shared.answers:set(key, table.concat(out), TTL / 10)
        keep(sock)
    else
        flush()
        follow(sock, key, last)
    end

    return
end

print(processing)
flush()

if command(sock, "SET", key .. ":lock", "1", "NX", "EX", 120) == "OK" then
    command(sock, "DEL", key)
    produce(sock, key, req.question)
else
    follow(sock, key, "0")
end
