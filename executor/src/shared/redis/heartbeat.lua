-- Notes that a replica lives, and counts those that do, by this server's clock.
-- KEYS[1] replicas: a sorted set, by the millisecond that they were last seen at
-- ARGV    name of the replica, milliseconds after which one counts as dead
-- Returns how many live
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local dead = now - tonumber(ARGV[2])
-- One from the future was seen before the clock was set back.
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', dead))
redis.call('ZREMRANGEBYSCORE', KEYS[1], string.format('(%.0f', now), '+inf')
redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('ZCARD', KEYS[1])
