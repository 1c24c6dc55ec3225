local strict = ...
local finite, less = strict.finite, strict.less

return function(equity, drawdown, verdicts, bars)
  local peak, before, rising, faulted = -math.huge, math.huge, 0, false
  for i = 0, bars - 1 do
    local e, d = equity[i], drawdown[i]
    if not (finite(e) and finite(d)) then faulted = true end
    if e > peak then peak = e end
    if less(before, d) then rising = rising + 1 else rising = 0 end
    before = d
    local loss = peak - e
    if not finite(loss) then faulted = true end
    if faulted then
      verdicts[i] = 3
    elseif less(peak * 0.15, loss) or rising >= 3 then
      verdicts[i] = 2
    else
      verdicts[i] = 0
    end
  end
end
