-- Records that the device of a bound session answered a challenge.
-- Atomic because of two answers to one challenge only one may count. Safe to repeat: a completed operation returns its result
-- again.
-- KEYS, ARGV[1..5]: see header.lua.
-- ARGV[6] sid
-- ARGV[7] thumbprint of the key that signed
-- ARGV[8] when the challenge was issued, epoch ms
-- ARGV[9] name of this operation, 8 bytes
-- Returns {'proven'}; {'spent'} if this challenge or a later one was answered before; {'refused'} if the session is bound to
-- no or another key; {'absent', now, snapshot…}, or what header.lua returns.
-- include: clock.lua
-- include: operations.lua
-- include: same-size.lua
-- include: snapshot.lua
local sid, operation = ARGV[6], ARGV[9]
if not liveClock(sid) then
  return withSnapshot({ 'absent', now }, sid)
end
if resultOf(operation) then
  return { 'proven' }
end
local stored = redis.call('HMGET', user, 'k' .. sid, 'q' .. sid)
if not stored[1] or string.match(stored[1], '^%d+%.([^.]+)%.') ~= ARGV[7] then
  return { 'refused' }
end
if tonumber(ARGV[8]) <= (tonumber(stored[2] or '0') or math.huge) then
  return { 'spent' }
end
allowSameSize()
redis.call('HSET', user, 'q' .. sid, ARGV[8], 'p', withOperation(operation, 0))
return { 'proven' }
