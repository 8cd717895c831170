-- Replaces a session's secrets without grace, and revokes the access tokens issued so far.
-- Atomic because old and new secret must never be valid at once, nor both invalid. Safe to repeat: a completed operation returns
-- its result again.
-- KEYS, ARGV[1..5]: see header.lua.
-- ARGV[6] user key
-- ARGV[7] sid
-- ARGV[8] record, or '' to keep it
-- ARGV[9] revision the record was computed from
-- ARGV[10] name of this operation, 8 bytes, whose beginning is the new revision
-- ARGV[11] number of the profile that the record was computed with, if its email or roles count from now on, or ''
-- ARGV[12] kind of the presented credential (1 cookie, 2 refresh), or ''
-- ARGV[13] hash of the presented secret
-- ARGV[14] hash of the new cookie secret, or ''
-- ARGV[15] hash of the new refresh secret, or ''; a kind that the session does not have is not added
-- ARGV[16] '1' if the user has just proved their identity
-- ARGV[17] ms for which the replaced secret may repeat this call
-- ARGV[18] new flags of the clock if the session becomes pending or stops being pending, or ''
-- ARGV[19] maximum number of sessions if it is admitted now, or ''
-- ARGV[20] maximum number of sessions of the device type, or ''
-- ARGV[21] policy: recent, oldest or reject
-- ARGV[22] sid to replace, or ''
-- Returns {'regenerated', now, snapshot…}, {'conflict', now, snapshot…}, {'unknown'}, {'absent', now, snapshot…},
-- {'limit', now, fields and values…}, or what header.lua returns.
-- include: admission.lua
-- include: operations.lua
-- include: same-size.lua
-- include: profile.lua
-- include: snapshot.lua
local userKey, sid, operation = ARGV[6], ARGV[7], ARGV[10]
local clock = liveClock(sid)
if not clock then
  return withSnapshot({ 'absent', now }, sid)
end
if resultOf(operation) then
  return withSnapshot({ 'regenerated', now }, sid)
end
local families = readFamilies(clock)
if ARGV[12] ~= '' then
  local family = families[tonumber(ARGV[12])]
  local current = family and family.hash == ARGV[13]
  local replaced = family and family.previous == ARGV[13] and family.previousUntil > now
  if not current and not replaced then
    return { 'unknown' }
  end
end
local seen = tonumber(ARGV[11])
if ARGV[8] ~= '' and (clock.revision ~= ARGV[9] or (seen and seen ~= profileSeq())) then
  return withSnapshot({ 'conflict', now }, sid)
end

local ends, isNew = restand(sid, clock, ARGV[18], ruleFrom(19))
if not ends then
  return refuseEntry(userKey, sid)
end

for kind = 1, 2 do
  local hash, before = ARGV[13 + kind], families[kind]
  if hash ~= '' and before then
    local drawn = newFamily(hash, nextBranch(before), before.client)
    drawn.previous, drawn.previousUntil = before.hash, now + tonumber(ARGV[17])
    families[kind] = drawn
  end
end
clock.credentials = packFamilies(families)
clock.revision = string.sub(operation, 1, 6)
clock.lastAccess = now
clock.tokensFrom = now + 1
clock.profileSeq = seen or clock.profileSeq
if ARGV[16] == '1' then
  clock.authenticatedAt = now
end
local fields = { 'c' .. sid, packClock(clock), 'p', withOperation(operation, 0) }
if ARGV[8] ~= '' then
  fields[5], fields[6] = 'r' .. sid, ARGV[8]
end
if ARGV[8] == '' or #ARGV[8] <= #(redis.call('HGET', user, 'r' .. sid) or '') then
  allowSameSize()
end
redis.call('HSET', user, unpack(fields))
local deadline = deadlineOf(clock)
redis.call('ZADD', expiries, integer(deadline), userKey .. sid)
keepUntil(deadline)
announce('regenerated', userKey .. sid)
if isNew then
  announce('new-device', userKey .. sid)
end
finish(userKey, ends)
return announced(withSnapshot({ 'regenerated', now }, sid))
