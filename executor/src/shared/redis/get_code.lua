-- An entry of compiled code that is no longer than it may be.
-- KEYS[1] entries: a hash, by name
-- KEYS[2] their names, by the milliseconds of their last use
-- ARGV    name, bytes of the longest
-- Returns the entry, or nothing
local length = redis.call('HSTRLEN', KEYS[1], ARGV[1])
if length == 0 or length > tonumber(ARGV[2]) then
  return false
end
local time = redis.call('TIME')
redis.pcall('ZADD', KEYS[2], 'XX', time[1] * 1000 + math.floor(time[2] / 1000), ARGV[1])
return redis.call('HGET', KEYS[1], ARGV[1])
