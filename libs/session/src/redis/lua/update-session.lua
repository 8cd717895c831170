-- Writes a record on condition that nobody wrote it since it was read. Atomic because condition and write are one.
-- Safe to repeat: a revision that is stored already counts as written.
-- KEYS, ARGV[1..5]: see header.lua.
-- ARGV[6] user key; [7] sid; [8] record; [9] revision it was computed from; [10] new revision; [11] '1' where the
-- record's own email or roles shall count from now on.
-- Returns {'updated', now, snapshot…}, {'conflict', now, snapshot…}, {'absent'}, or what header.lua returns.
-- include: ends.lua
-- include: snapshot.lua
local userKey, sid = ARGV[6], ARGV[7]
local clock = liveClock(sid)
if not clock then
  return { 'absent' }
end
if clock.revision == ARGV[10] then
  return withSnapshot({ 'updated', now }, sid)
end
if clock.revision ~= ARGV[9] then
  return withSnapshot({ 'conflict', now }, sid)
end
clock.revision = ARGV[10]
if ARGV[11] == '1' then
  for _, profile in ipairs({ 'e', 'o' }) do
    local stored = redis.call('HGET', user, profile)
    local seq = stored and tonumber(string.match(stored, '^(%d+):')) or 0
    clock.profileSeq = math.max(clock.profileSeq, seq)
  end
end
redis.call('HSET', user, 'r' .. sid, ARGV[8], 'c' .. sid, packClock(clock))
announce('changed', userKey .. sid)
local reply = withSnapshot({ 'updated', now }, sid)
publish()
return reply
