-- Compares and sets the state of a session, if its tenant has room for it.
-- KEYS[1] session: a hash of `revision` and `state`
-- KEYS[2] the tenant's sessions, by the milliseconds at which they end
-- KEYS[3] their bytes, and in `sum` those of all
-- ARGV    expected revision ("": there is no such session yet), next revision, state, milliseconds to live,
--         the session, bytes of all sessions of the tenant
-- Returns {"done"}, {"gone"}, {"full"}, or {"conflict", revision}
local found = redis.call('HGET', KEYS[1], 'revision')

-- Takes a session out of the count.
local function forget(session)
  local bytes = redis.pcall('HGET', KEYS[3], session)
  if type(bytes) == 'string' then
    local sum = tonumber(redis.call('HGET', KEYS[3], 'sum')) or 0
    redis.call('HSET', KEYS[3], 'sum', string.format('%.0f', math.max(sum - (tonumber(bytes) or 0), 0)))
    redis.call('HDEL', KEYS[3], session)
  end
  redis.pcall('ZREM', KEYS[2], session)
end

if ARGV[1] == '' then
  if redis.call('EXISTS', KEYS[1]) == 1 then
    return { 'conflict', found or '0' }
  end
else
  if not found then
    -- It has ended, or Redis was out of memory and threw it out.
    forget(ARGV[5])
    return { 'gone' }
  end
  if found ~= ARGV[1] then
    return { 'conflict', found }
  end
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- Redis needs about so much beside a state.
local bytes = #ARGV[3] + 512

-- Bytes of all sessions with this one, and without it as it was.
local function count()
  local known = redis.pcall('HMGET', KEYS[3], 'sum', ARGV[5])
  if known.err then
    -- Somebody else put something there. What was counted is lost, and nothing else.
    redis.call('DEL', KEYS[2], KEYS[3])
    known = {}
  end
  local sum = tonumber(known[1]) or 0
  return math.max(sum - (tonumber(known[2]) or 0), 0) + bytes, sum
end

local after, sum = count()
-- At most so many: a script holds up everybody.
for _ = 1, 8 do
  local ended = redis.pcall('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 128)
  if ended.err then
    redis.call('DEL', KEYS[2], KEYS[3])
    ended = {}
  end
  for _, session in ipairs(ended) do
    forget(session)
  end
  after, sum = count()
  if #ended == 0 or after <= tonumber(ARGV[6]) then
    break
  end
end
if after > tonumber(ARGV[6]) and after > sum then
  return { 'full' }
end
redis.call('HSET', KEYS[1], 'revision', ARGV[2], 'state', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('HSET', KEYS[3], 'sum', string.format('%.0f', after), ARGV[5], bytes)
redis.call('ZADD', KEYS[2], now + ARGV[4], ARGV[5])
-- The count lives as long as the last of what it counts.
for at = 2, 3 do
  if redis.call('PTTL', KEYS[at]) < tonumber(ARGV[4]) then
    redis.call('PEXPIRE', KEYS[at], ARGV[4])
  end
end
return { 'done' }
