local ffi = require("ffi")
local sqrt, abs, huge = math.sqrt, math.abs, math.huge

return function(equity, _, verdicts, bars)
  local size, target, year = 20, 0.1, sqrt(252)
  local ring = ffi.new("double[?]", 2 * size)
  local before = bars > 0 and equity[0] or 0
  local at = 0
  for i = 0, bars - 1 do
    local e = equity[i]
    local move = e / before - 1
    before = e
    ring[at], ring[at + size] = move, move
    at = at + 1
    if at == size then at = 0 end
    local scale = 1
    if i >= size - 1 then
      local sum, squares = 0, 0
      for k = at, at + size - 1 do sum = sum + ring[k] end
      local mean = sum / size
      for k = at, at + size - 1 do
        local off = ring[k] - mean
        squares = squares + off * off
      end
      scale = target / (sqrt(squares / (size - 1)) * year)
      if not (abs(scale) < huge) then scale = 1 end
    end
    if scale < 1 then
      verdicts[i] = 2
    else
      verdicts[i] = 0
    end
  end
end
