return function(equity, drawdown, verdicts, bars)
  local peak, before, rising = -math.huge, math.huge, 0
  for i = 0, bars - 1 do
    local e, d = equity[i], drawdown[i]
    if e > peak then peak = e end
    if d > before then rising = rising + 1 else rising = 0 end
    before = d
    if peak - e > peak * 0.15 or rising >= 3 then
      verdicts[i] = 2
    else
      verdicts[i] = 0
    end
  end
end
