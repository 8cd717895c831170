-- Records an access, and that a token is in use. Atomic because it reads the deadline and the token that it changes; safe to
-- repeat. No event; but a deadline that becomes earlier is announced to the instance that sweeps.
-- KEYS, ARGV[1..5]: see header.lua.
-- ARGV[6]  user key
-- ARGV[7]  sid
-- ARGV[8]  idle timeout from now on, ms, or ''
-- ARGV[9]  '1' if this counts as an access
-- ARGV[10] kind of the token that was used (1 cookie, 2 refresh), or ''
-- ARGV[11] its branch
-- Returns {'touched'}, {'absent'}, or what header.lua returns.
-- include: ends.lua
-- include: token-family.lua
-- include: operations.lua
-- include: same-size.lua
local userKey, sid, slides = ARGV[6], ARGV[7], ARGV[9] == '1'
local clock = liveClock(sid)
if not clock then
  return { 'absent' }
end
local before = deadlineOf(clock)
clock.idle = math.min(tonumber(ARGV[8]) or clock.idle, LAST_INSTANT)
if slides then
  clock.lastAccess = now
end
local changes = slides or ARGV[8] ~= ''
if ARGV[10] ~= '' then
  local families = readFamilies(clock)
  local family = families[tonumber(ARGV[10])]
  if family and not family.inUse and family.branch == tonumber(ARGV[11]) then
    family.inUse = true
    clock.credentials = packFamilies(families)
    changes = true
  end
end
if changes then
  local deadline = deadlineOf(clock)
  allowSameSize()
  redis.call('HSET', user, 'c' .. sid, packClock(clock))
  redis.call('ZADD', expiries, integer(deadline), userKey .. sid)
  keepUntil(deadline)
  if deadline < before then
    announce('due', userKey .. sid, integer(deadline))
  end
end
if operations() == '' then
  -- No operation can be resent any more, so the log is not needed.
  redis.call('HDEL', user, 'p')
end
return announced({ 'touched' })
