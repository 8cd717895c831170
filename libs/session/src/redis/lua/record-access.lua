-- Records an access that Redis refused to record when it happened; the calling instance has served the session meanwhile.
-- Atomic because it reads the deadline that it moves; safe to repeat. The absolute end stays, and ended sessions stay ended.
-- KEYS, ARGV[1..5]: see header.lua.
-- ARGV[6] user key
-- ARGV[7] sid
-- ARGV[8] instant of the access, epoch ms
-- Returns {'recorded'}, {'absent'}, or what header.lua returns.
-- include: ends.lua
-- include: same-size.lua
local userKey, sid = ARGV[6], ARGV[7]
local clock = unpackClock(redis.call('HGET', user, 'c' .. sid))
if not clock then
  return { 'absent' }
end
local at = math.min(tonumber(ARGV[8]), arrived)
if at > clock.lastAccess then
  clock.lastAccess = at
  local deadline = deadlineOf(clock)
  allowSameSize()
  redis.call('HSET', user, 'c' .. sid, packClock(clock))
  redis.call('ZADD', expiries, integer(deadline), userKey .. sid)
  keepUntil(deadline)
end
return { 'recorded' }
