-- Compares and sets the state of a session, if its tenant has room for it.
-- KEYS[1] session: a hash of `revision` and `state`
-- KEYS[2] the tenant's sessions, by the milliseconds at which they end
-- KEYS[3] their bytes, and in `sum` those of all
-- ARGV    expected revision ("": there is no such session yet), next revision, state, milliseconds to live,
--         the session, bytes of all sessions of the tenant
-- Returns {"done"}, {"gone"}, {"full"}, or {"conflict", revision}
local found = redis.call('HGET', KEYS[1], 'revision')
if ARGV[1] == '' then
  if redis.call('EXISTS', KEYS[1]) == 1 then
    return { 'conflict', found or '0' }
  end
else
  if not found then
    return { 'gone' }
  end
  if found ~= ARGV[1] then
    return { 'conflict', found }
  end
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- At most so many: a script holds up everybody. The rest goes the next time.
local ended = redis.pcall('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 256)
local known = redis.pcall('HMGET', KEYS[3], 'sum', ARGV[5])
if ended.err or known.err then
  -- Somebody else put something there. What was counted is lost, and nothing else.
  redis.call('DEL', KEYS[2], KEYS[3])
  ended, known = {}, {}
end
local sum = tonumber(known[1]) or 0
for _, session in ipairs(ended) do
  if session ~= ARGV[5] then
    sum = sum - (tonumber(redis.call('HGET', KEYS[3], session)) or 0)
    redis.call('HDEL', KEYS[3], session)
    redis.call('ZREM', KEYS[2], session)
  end
end
-- Redis needs about so much beside a state.
local bytes = #ARGV[3] + 512
local after = math.max(sum, 0) - (tonumber(known[2]) or 0) + bytes
if after > tonumber(ARGV[6]) and after > sum then
  redis.call('HSET', KEYS[3], 'sum', string.format('%.0f', sum))
  return { 'full' }
end
redis.call('HSET', KEYS[1], 'revision', ARGV[2], 'state', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('HSET', KEYS[3], 'sum', string.format('%.0f', after), ARGV[5], bytes)
redis.call('ZADD', KEYS[2], now + ARGV[4], ARGV[5])
for at = 2, 3 do
  redis.call('PEXPIRE', KEYS[at], ARGV[4])
end
return { 'done' }
