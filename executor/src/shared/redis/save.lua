-- Compares and sets the state of a session.
-- KEYS[1] session: a hash of `revision` and `state`
-- ARGV    expected revision ("": there is no such session yet), next revision, state, milliseconds to live
-- Returns {"done"}, {"gone"}, or {"conflict", revision}
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
redis.call('HSET', KEYS[1], 'revision', ARGV[2], 'state', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return { 'done' }
