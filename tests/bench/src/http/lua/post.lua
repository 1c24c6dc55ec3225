-- Posts one body to each target in turn. Arguments: a file with a path and a key a line, the file of the body, its type,
-- and, if each request is to have another body, the number that the first has in the place of `@`.
function init(args)
  local file = assert(io.open(args[2], "rb"))
  local body = file:read("*a")
  file:close()
  local targets = {}
  for line in io.lines(args[1]) do
    local path, key = line:match("(%S+) (%S+)")
    local headers = { ["content-type"] = args[3], ["accept"] = "application/json", ["authorization"] = "Bearer " .. key }
    targets[#targets + 1] = { path, headers }
  end
  local path, headers = unpack(targets[1])
  wrk.method, wrk.path, wrk.headers, wrk.body = "POST", path, headers, body
  wrk.headers["Host"] = "127.0.0.1"
  local n = tonumber(args[4])
  if n then
    function request()
      n = n + 1
      return wrk.format("POST", path, headers, (body:gsub("@", n)))
    end
  elseif #targets > 1 then
    local whole, at = {}, 0
    for i, target in ipairs(targets) do whole[i] = wrk.format("POST", target[1], target[2], body) end
    function request()
      at = at % #whole + 1
      return whole[at]
    end
  end
  -- Without a function, wrk sends the same without asking: it costs the load nothing.
end
