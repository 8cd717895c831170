-- Replaces a session's secrets, with no grace, and kills the access tokens issued so far.
-- Atomic because between the end of the old secret and the birth of the new nobody may slip in. Safe to repeat: an
-- operation that was carried out already is answered with what came of it.
-- KEYS, ARGV[1..5]: see header.lua.
-- ARGV[6] user key; [7] sid; [8] record or '' to keep it; [9] revision the record was computed from; [10] name of this
-- operation (8 bytes), whose beginning is the new revision; [11] number of the profile that the record was computed with,
-- where its email or roles shall count from now on, or ''; [12] kind of the presented credential (1 cookie, 2 refresh) or
-- ''; [13] hash of its secret; [14] new cookie secret's hash or ''; [15] new refresh secret's hash or '' (a kind that the
-- session has not is not added); [16] '1' where the user has just proved who they are; [17] ms for which the replaced
-- secret may repeat this call.
-- Returns {'renewed', now, snapshot…}, {'conflict', now, snapshot…}, {'unknown'}, {'absent', now, snapshot…}, or what
-- header.lua returns.
-- include: ends.lua
-- include: lineage.lua
-- include: operations.lua
-- include: profile.lua
-- include: snapshot.lua
local userKey, sid, operation = ARGV[6], ARGV[7], ARGV[10]
local clock = liveClock(sid)
if not clock then
  return withSnapshot({ 'absent', now }, sid)
end
if resultOf(operation) then
  return withSnapshot({ 'renewed', now }, sid)
end
local lineages = readLineages(clock)
if ARGV[12] ~= '' then
  local lineage = lineages[tonumber(ARGV[12])]
  local current = lineage and lineage.hash == ARGV[13]
  local replaced = lineage and lineage.previous == ARGV[13] and lineage.previousUntil > now
  if not current and not replaced then
    return { 'unknown' }
  end
end
local seen = tonumber(ARGV[11])
if ARGV[8] ~= '' and (clock.revision ~= ARGV[9] or (seen and seen ~= profileSeq())) then
  return withSnapshot({ 'conflict', now }, sid)
end

for kind = 1, 2 do
  local hash, before = ARGV[13 + kind], lineages[kind]
  if hash ~= '' and before then
    lineages[kind] = { hash = hash, n = 0, rotatedAt = now, client = before.client, previous = before.hash,
      previousUntil = now + tonumber(ARGV[17]) }
  end
end
clock.credentials = packLineages(lineages)
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
redis.call('HSET', user, unpack(fields))
local deadline = deadlineOf(clock)
redis.call('ZADD', expiries, integer(deadline), userKey .. sid)
keepUntil(deadline)
announce('renewed', userKey .. sid)
return announced(withSnapshot({ 'renewed', now }, sid))
