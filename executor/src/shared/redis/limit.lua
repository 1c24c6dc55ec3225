-- The arithmetic of gcra.rs: the same operations on the same doubles in the same order. Change both.
-- KEYS[1] bucket: "LEVEL AT"
-- ARGV    cost (negative: give back), units a second, burst, now in microseconds or "" for this server's clock
-- Returns {allowed, remaining, microseconds to come back (-1: none will do), microseconds until empty}
local MOST = 9007199254740992

local function whole(value)
  return math.min(math.max(value, 0), MOST)
end

local cost, rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local now = tonumber(ARGV[4])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000000 + tonumber(time[2])
end

local level, at = 0, 0
local kept = redis.call('GET', KEYS[1])
if kept then
  local first, second = string.match(kept, '^([%d.e+-]+) (%d+)$')
  level, at = tonumber(first or ''), tonumber(second or '')
  -- What is no number fails every comparison.
  if not (level and at and level >= 0 and level <= 2 * MOST and at <= MOST) then
    return redis.error_reply('MALFORMED bucket')
  end
end

if now > at then
  level = math.max(0, level - (now - at) * rate / 1000000)
end

-- The quota may have been lowered: what was taken under the one before is no debt.
level = math.min(level, burst)

local allowed, retry = 1, 0
if cost < 0 then
  level = math.max(0, level + cost)
else
  local over = level + cost - burst
  if over <= 0 then
    level = level + cost
  else
    allowed, retry = 0, -1
    if cost <= burst then
      retry = whole(math.ceil(over * 1000000 / rate))
    end
  end
end

local reset = whole(math.ceil(level * 1000000 / rate))
if level > 0 then
  -- An empty bucket is one that is not there. A minute more, since a clock may be set back.
  local ttl = math.ceil(reset / 1000) + 60000
  redis.call('SET', KEYS[1], string.format('%.17g %.0f', level, now), 'PX', string.format('%.0f', ttl))
elseif kept then
  redis.call('DEL', KEYS[1])
end
return { allowed, whole(math.floor(burst - level)), retry, reset }
