local strict = ...
local finite, less = strict.finite, strict.less

return function(equity, _, verdicts, bars)
  local faulted = false
  for i = 0, bars - 1 do
    local e, mean = equity[i], 0
    if not finite(e) then faulted = true end
    if i >= 19 then
      local sum = 0
      for k = i - 19, i do sum = sum + equity[k] end
      mean = sum / 20
      if not finite(mean) then faulted = true end
    end
    if faulted then
      verdicts[i] = 3
    elseif less(e, mean * 0.95) then
      verdicts[i] = 2
    else
      verdicts[i] = 0
    end
  end
end
