-- Keeps the sum, which drifts: each bar leaves a rounding error in it.
return function(equity, _, verdicts, bars)
  local sum = 0
  for i = 0, bars - 1 do
    local e = equity[i]
    sum = sum + e
    if i >= 20 then sum = sum - equity[i - 20] end
    if i >= 19 and e < sum / 20 * 0.95 then
      verdicts[i] = 2
    else
      verdicts[i] = 0
    end
  end
end
