-- Binds a session to a key of a device. The key has a field of its own, so that no write of the record can lose it.
-- Atomic because of two registrations that answer one challenge only one may count. Safe to repeat: a completed operation
-- returns its result again.
-- KEYS, ARGV[1..5]: see header.lua.
-- ARGV[6] user key
-- ARGV[7] sid
-- ARGV[8] the key, as device-binding.ts writes it
-- ARGV[9] when the challenge was issued, epoch ms
-- ARGV[10] name of this operation, 8 bytes
-- Returns {'bound', now, snapshot…}, {'refused'} where the session is bound since the user last proved their identity, or the
-- challenge is older than that proof, {'absent', now, snapshot…}, or what header.lua returns.
-- include: ends.lua
-- include: operations.lua
-- include: snapshot.lua
local userKey, sid, operation = ARGV[6], ARGV[7], ARGV[10]
local clock = liveClock(sid)
if not clock then
  return withSnapshot({ 'absent', now }, sid)
end
if resultOf(operation) then
  return withSnapshot({ 'bound', now }, sid)
end
local bound = redis.call('HGET', user, 'k' .. sid)
-- A key whose instant cannot be read counts as bound just now.
local boundAt = bound and (tonumber(string.match(bound, '^(%d+)%.')) or math.huge)
if (boundAt and boundAt >= clock.authenticatedAt) or tonumber(ARGV[9]) < clock.authenticatedAt then
  return { 'refused' }
end
redis.call('HSET', user, 'k' .. sid, integer(now) .. '.' .. ARGV[8], 'p', withOperation(operation, 0))
redis.call('HDEL', user, 'q' .. sid)
announce('bound', userKey .. sid)
return announced(withSnapshot({ 'bound', now }, sid))
