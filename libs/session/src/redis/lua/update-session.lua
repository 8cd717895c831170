-- Writes a record if it was not written since it was read. Atomic because condition and write are one.
-- Safe to repeat: a completed operation returns its result again.
-- KEYS, ARGV[1..5]: see header.lua.
-- ARGV[6] user key
-- ARGV[7] sid
-- ARGV[8] record
-- ARGV[9] revision the record was computed from
-- ARGV[10] name of this operation, 8 bytes, whose beginning is the new revision
-- ARGV[11] number of the profile that the record was computed with, if its email or roles count from now on, or ''
-- ARGV[12] new flags of the clock if the session becomes pending or stops being pending, or ''
-- ARGV[13] maximum number of sessions if it is admitted now, or ''
-- ARGV[14] maximum number of sessions of the device type, or ''
-- ARGV[15] policy: recent, oldest or reject
-- ARGV[16] sid to replace, or ''
-- Returns {'updated', now, snapshot…}, {'conflict', now, snapshot…}, {'limit', now, fields and values…}, {'absent'}, or what
-- header.lua returns.
-- include: admission.lua
-- include: operations.lua
-- include: same-size.lua
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
local ends, isNew = restand(sid, clock, ARGV[12], ruleFrom(13))
if not ends then
  return refuseEntry(userKey, sid)
end
clock.revision = string.sub(operation, 1, 6)
clock.profileSeq = seen or clock.profileSeq
if #ARGV[8] <= #(redis.call('HGET', user, 'r' .. sid) or '') then
  allowSameSize()
end
redis.call('HSET', user, 'r' .. sid, ARGV[8], 'c' .. sid, packClock(clock), 'p', withOperation(operation, 0))
announce('changed', userKey .. sid)
if isNew then
  announce('new-device', userKey .. sid)
end
finish(userKey, ends)
return announced(withSnapshot({ 'updated', now }, sid))
