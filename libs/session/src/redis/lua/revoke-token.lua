-- Kills one access token of a live session. Atomic because a token of a session that is gone must leave nothing behind.
-- Safe to repeat: the later deadline stands. KEYS, ARGV[1..5]: see header.lua.
-- ARGV[6] user key; [7] sid; [8] token id; [9] instant from which it may be forgotten.
-- Returns {'revoked'}, {'absent'}, or what header.lua returns.
-- include: ends.lua
local userKey, sid, field, deadline = ARGV[6], ARGV[7], 'j' .. ARGV[8], tonumber(ARGV[9])
if not liveClock(sid) then
  return { 'absent' }
end
if deadline > now and (tonumber(redis.call('HGET', user, field)) or 0) < deadline then
  redis.call('HSET', user, field, integer(deadline))
  announce('changed', userKey .. sid, 'tokens-revoked')
end
return announced({ 'revoked' })
