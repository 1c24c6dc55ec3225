return function(equity, drawdown, verdicts, bars)
  for i = 0, bars - 1 do
    local e, d = equity[i], drawdown[i]
    if not (e >= 0 and e <= 1e15 and d >= 0 and d <= 1) then
      verdicts[i] = 3
    elseif d >= 0.1 then
      verdicts[i] = 2
    elseif d >= 0.08 then
      verdicts[i] = 1
    else
      verdicts[i] = 0
    end
  end
end
