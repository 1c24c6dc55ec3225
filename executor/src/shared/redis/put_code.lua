-- Keeps an entry of compiled code, and throws out those that have not been asked for the longest.
-- KEYS[1] entries: a hash, by name
-- KEYS[2] their names, by the milliseconds of their last use
-- ARGV    name, entry, bytes of all entries, how many they may be, milliseconds that all of them live from now on
-- Returns 1
local kinds = { 'hash', 'zset' }
for at = 1, 2 do
  local kind = redis.call('TYPE', KEYS[at]).ok
  if kind ~= 'none' and kind ~= kinds[at] then
    -- Somebody else put something there.
    redis.call('DEL', KEYS[1], KEYS[2])
  end
end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
if redis.call('HLEN', KEYS[1]) ~= redis.call('ZCARD', KEYS[2]) then
  -- An entry whose time is not known would stay for ever.
  redis.call('DEL', KEYS[1], KEYS[2])
end

-- The last ones that were used stay, as far as there is room. Redis needs about so much beside an entry.
local beside = 256
local sum, kept = #ARGV[2] + beside, 1
local names = redis.call('ZRANGE', KEYS[2], 0, -1)
for at = #names, 1, -1 do
  local length = redis.call('HSTRLEN', KEYS[1], names[at])
  sum = sum + length + beside
  kept = kept + 1
  if length == 0 or sum > tonumber(ARGV[3]) or kept > tonumber(ARGV[4]) then
    redis.call('HDEL', KEYS[1], names[at])
    redis.call('ZREM', KEYS[2], names[at])
  end
end

local time = redis.call('TIME')
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], time[1] * 1000 + math.floor(time[2] / 1000), ARGV[1])
for at = 1, 2 do
  redis.call('PEXPIRE', KEYS[at], ARGV[5])
end
return 1
