return function(equity, _, verdicts, bars)
  for i = 0, bars - 1 do
    local mean = 0
    if i >= 19 then
      local sum = 0
      for k = i - 19, i do sum = sum + equity[k] end
      mean = sum / 20
    end
    if equity[i] < mean * 0.95 then
      verdicts[i] = 2
    else
      verdicts[i] = 0
    end
  end
end
