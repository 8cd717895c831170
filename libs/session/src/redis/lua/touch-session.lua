-- Records an access. Atomic because it reads the deadline that it moves; safe to repeat.
-- KEYS, ARGV[1..5]: see header.lua. ARGV[6] user key; [7] sid; [8] idle timeout from now on, ms, or ''.
-- Returns {'touched'}, {'absent'}, or what header.lua returns.
-- include: ends.lua
-- include: operations.lua
local userKey, sid = ARGV[6], ARGV[7]
local clock = liveClock(sid)
if not clock then
  return { 'absent' }
end
clock.lastAccess = now
clock.idle = math.min(tonumber(ARGV[8]) or clock.idle, LAST_INSTANT)
local deadline = deadlineOf(clock)
redis.call('HSET', user, 'c' .. sid, packClock(clock))
redis.call('ZADD', expiries, integer(deadline), userKey .. sid)
keepUntil(deadline)
if operations() == '' then
  -- No operation can come again any more: their log would only take room.
  redis.call('HDEL', user, 'p')
end
return { 'touched' }
