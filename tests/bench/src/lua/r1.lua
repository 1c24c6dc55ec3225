return function(equity, drawdown, verdicts, bars)
  for i = 0, bars - 1 do
    if drawdown[i] > 0.2 or equity[i] < 50000 then
      verdicts[i] = 2
    else
      verdicts[i] = 0
    end
  end
end
