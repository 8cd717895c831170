-- Replaces a session's secrets, with no grace, and kills the access tokens issued so far.
-- Atomic because between the end of the old secret and the birth of the new nobody may slip in. Safe to repeat: a
-- revision that is stored already counts as done.
-- KEYS, ARGV[1..5]: see header.lua.
-- ARGV[6] user key; [7] sid; [8] record or '' to keep it; [9] revision the record was computed from; [10] new
-- revision; [11] '1' where the record's own email or roles shall count from now on; [12] kind of the presented
-- credential (1 cookie, 2 refresh) or ''; [13] hash of its secret; [14] new cookie secret's hash or ''; [15] new refresh
-- secret's hash or '' (a kind that the session has not is not added); [16] '1' where the user has just proved who they are; [17] ms for which the replaced secret may
-- repeat this call.
-- Returns {'renewed', now, snapshot…}, {'conflict', now, snapshot…}, {'unknown'}, {'absent', now, snapshot…}, or what
-- header.lua returns.
-- include: ends.lua
-- include: lineage.lua
-- include: snapshot.lua
local userKey, sid = ARGV[6], ARGV[7]
local clock = liveClock(sid)
if not clock then
  return withSnapshot({ 'absent', now }, sid)
end
if clock.revision == ARGV[10] then
  return withSnapshot({ 'renewed', now }, sid)
end
local lineages = readLineages(sid)
if ARGV[12] ~= '' then
  local lineage = lineages[tonumber(ARGV[12])]
  local current = lineage and lineage.hash == ARGV[13]
  local replaced = lineage and lineage.previous == ARGV[13] and lineage.previousUntil > now
  if not current and not replaced then
    return { 'unknown' }
  end
end
if ARGV[8] ~= '' and clock.revision ~= ARGV[9] then
  return withSnapshot({ 'conflict', now }, sid)
end

for kind = 1, 2 do
  local hash, before = ARGV[13 + kind], lineages[kind]
  if hash ~= '' and before then
    lineages[kind] = { hash = hash, n = 0, rotatedAt = now, client = before.client, previous = before.hash,
      previousUntil = now + tonumber(ARGV[17]) }
  end
end
clock.revision = ARGV[10]
clock.lastAccess = now
clock.tokensFrom = now + 1
if ARGV[16] == '1' then
  clock.authenticatedAt = now
end
if ARGV[11] == '1' then
  for _, profile in ipairs({ 'e', 'o' }) do
    local stored = redis.call('HGET', user, profile)
    clock.profileSeq = math.max(clock.profileSeq, stored and tonumber(string.match(stored, '^(%d+):')) or 0)
  end
end
local fields = { 'k' .. sid, packLineages(lineages), 'c' .. sid, packClock(clock) }
if ARGV[8] ~= '' then
  fields[#fields + 1] = 'r' .. sid
  fields[#fields + 1] = ARGV[8]
end
redis.call('HSET', user, unpack(fields))
local deadline = deadlineOf(clock)
redis.call('ZADD', expiries, integer(deadline), userKey .. sid)
keepUntil(deadline)
announce('renewed', userKey .. sid)
local reply = withSnapshot({ 'renewed', now }, sid)
publish()
return reply
