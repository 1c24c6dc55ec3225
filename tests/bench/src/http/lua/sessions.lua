-- A connection a thread, each with a session of its own: bars go up by one. Arguments: a file with the path of a session's
-- bars and a key a line, the file of the bar without its `seq`, and its type.
local threads = 0
function setup(thread)
  threads = threads + 1
  thread:set("number", threads)
end
function init(args)
  local n = 0
  for line in io.lines(args[1]) do
    n = n + 1
    if n == number then path, key = line:match("(%S+) (%S+)") end
  end
  local file = assert(io.open(args[2], "rb"))
  rest = file:read("*a"):match("^{(.*)$")
  file:close()
  seq = 0
  wrk.headers["content-type"] = args[3]
  wrk.headers["authorization"] = "Bearer " .. key
end
-- It may be asked for a request that it then does not send: where the session is, answers say.
function response(status, headers, body) seq = tonumber(body:match('"next_seq":(%d+)')) or seq end
function request() return wrk.format("POST", path, nil, '{"seq":' .. seq .. "," .. rest) end
