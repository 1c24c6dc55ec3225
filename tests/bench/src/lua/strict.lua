-- What a rule promises beside its formula, for the rules that are written with it.
local abs, huge = math.abs, math.huge

local function equal(a, b)
  local x, y = abs(a), abs(b)
  if y > x then x = y end
  if x < 1 then x = 1 end
  return abs(a - b) <= 1e-12 * x
end

return {
  finite = function(x) return abs(x) < huge end,
  less = function(a, b) return a < b and not equal(a, b) end,
}
