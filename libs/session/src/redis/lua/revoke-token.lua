-- Kills one access token of a live session. Atomic because a token of a session that is gone must leave nothing behind.
-- Safe to repeat. KEYS, ARGV[1..5]: see header.lua.
-- ARGV[6] user key; [7] sid; [8] token id; [9] instant from which it may be forgotten.
-- Returns {'revoked'}, {'absent'}, or what header.lua returns.
-- include: ends.lua
local userKey, sid, field = ARGV[6], ARGV[7], 'j' .. ARGV[8]
if not liveClock(sid) then
  return { 'absent' }
end
local deadline = tonumber(ARGV[9])
if deadline > now then
  local stored = tonumber(redis.call('HGET', user, field)) or 0
  redis.call('HSET', user, field, integer(math.max(stored, deadline)))
  announce('changed', userKey .. sid)
  publish()
end
return { 'revoked' }
