return function(equity, drawdown, verdicts, bars)
  for i = 0, bars - 1 do
    local e, d, alarms = equity[i], drawdown[i], 0
    if d > 0.01 then alarms = alarms + 1 end
    if d > 0.02 then alarms = alarms + 1 end
    if d > 0.03 then alarms = alarms + 1 end
    if d > 0.04 then alarms = alarms + 1 end
    if d > 0.05 then alarms = alarms + 1 end
    if d > 0.06 then alarms = alarms + 1 end
    if d > 0.07 then alarms = alarms + 1 end
    if d > 0.08 then alarms = alarms + 1 end
    if d > 0.09 then alarms = alarms + 1 end
    if d > 0.10 then alarms = alarms + 1 end
    if e < 110000 then alarms = alarms + 1 end
    if e < 105000 then alarms = alarms + 1 end
    if e < 100000 then alarms = alarms + 1 end
    if e < 95000 then alarms = alarms + 1 end
    if e < 90000 then alarms = alarms + 1 end
    if e < 85000 then alarms = alarms + 1 end
    if e < 80000 then alarms = alarms + 1 end
    if e < 75000 then alarms = alarms + 1 end
    if e < 70000 then alarms = alarms + 1 end
    if e < 65000 then alarms = alarms + 1 end
    if alarms >= 12 then
      verdicts[i] = 2
    else
      verdicts[i] = 0
    end
  end
end
