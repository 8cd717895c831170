-- Writes a record on condition that nobody wrote it since it was read. Atomic because condition and write are one.
-- Safe to repeat: an operation that was carried out already is answered with what came of it.
-- KEYS, ARGV[1..5]: see header.lua.
-- ARGV[6] user key; [7] sid; [8] record; [9] revision it was computed from; [10] name of this operation (8 bytes), whose
-- beginning is the new revision; [11] number of the profile that the record was computed with, where its email or roles
-- shall count from now on, or ''.
-- Returns {'updated', now, snapshot…}, {'conflict', now, snapshot…}, {'absent'}, or what header.lua returns.
-- include: ends.lua
-- include: operations.lua
-- include: profile.lua
-- include: snapshot.lua
local userKey, sid, operation = ARGV[6], ARGV[7], ARGV[10]
local clock = liveClock(sid)
if not clock then
  return { 'absent' }
end
if resultOf(operation) then
  return withSnapshot({ 'updated', now }, sid)
end
local seen = tonumber(ARGV[11])
if clock.revision ~= ARGV[9] or (seen and seen ~= profileSeq()) then
  return withSnapshot({ 'conflict', now }, sid)
end
clock.revision = string.sub(operation, 1, 6)
clock.profileSeq = seen or clock.profileSeq
redis.call('HSET', user, 'r' .. sid, ARGV[8], 'c' .. sid, packClock(clock), 'p', withOperation(operation, 0))
announce('changed', userKey .. sid)
return announced(withSnapshot({ 'updated', now }, sid))
