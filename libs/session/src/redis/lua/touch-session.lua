-- Records an access. Atomic because it reads the deadline that it moves; safe to repeat.
-- KEYS, ARGV[1..5]: see header.lua. ARGV[6] user key; [7] sid.
-- Returns {'touched'}, {'absent'}, or what header.lua returns.
-- include: ends.lua
local userKey, sid = ARGV[6], ARGV[7]
local clock = liveClock(sid)
if not clock then
  return { 'absent' }
end
clock.lastAccess = now
local deadline = deadlineOf(clock)
redis.call('HSET', user, 'c' .. sid, packClock(clock))
redis.call('ZADD', expiries, integer(deadline), userKey .. sid)
keepUntil(deadline)
return { 'touched' }
