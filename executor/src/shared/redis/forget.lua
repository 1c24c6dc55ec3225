-- Forgets a session, whatever is there.
-- KEYS[1] session
-- KEYS[2] the tenant's sessions, by the milliseconds at which they end
-- KEYS[3] their bytes, and in `sum` those of all
-- ARGV    the session
-- Returns whether there was one
local bytes = redis.pcall('HGET', KEYS[3], ARGV[1])
if type(bytes) == 'string' then
  redis.call('HDEL', KEYS[3], ARGV[1])
  local sum = (tonumber(redis.call('HGET', KEYS[3], 'sum')) or 0) - (tonumber(bytes) or 0)
  redis.call('HSET', KEYS[3], 'sum', string.format('%.0f', math.max(sum, 0)))
end
redis.pcall('ZREM', KEYS[2], ARGV[1])
return redis.call('UNLINK', KEYS[1])
