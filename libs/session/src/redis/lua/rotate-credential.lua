-- Judges a presented credential and carries out what follows: the table of `judge` in model/lineage.ts.
-- Atomic because two holders of one token must not both become its successor. Safe to repeat: a token that was just
-- rotated by this operation is answered with the current one, grace or not.
-- KEYS, ARGV[1..5]: see header.lua.
-- ARGV[6] user key; [7] sid; [8] kind (1 cookie, 2 refresh); [9] hash of the presented secret; [10] its n; [11] client
-- digest or ''; [12] grace ms; [13] age ms from which the current token rotates, or '' for never; [14] '1' where a
-- never-rotated token rotates at once; [15] '1' where this counts as an access; [16] name of this operation (8 bytes).
-- Returns {state, now, n, snapshot…} with state rotated, kept, repeated or advanced; {'unknown'}, {'theft'},
-- {'absent', now, snapshot…}, or what header.lua returns.
-- include: ends.lua
-- include: lineage.lua
-- include: operations.lua
-- include: snapshot.lua
local userKey, sid, kind = ARGV[6], ARGV[7], tonumber(ARGV[8])
local n, grace, rotateAfter = tonumber(ARGV[10]), tonumber(ARGV[12]), tonumber(ARGV[13])
local client = ARGV[11] ~= '' and ARGV[11] or nil

local clock = liveClock(sid)
if not clock then
  return withSnapshot({ 'absent', now }, sid)
end
local lineages = readLineages(clock)
local lineage = lineages[kind]
if not lineage or lineage.hash ~= ARGV[9] then
  return { 'unknown' }
end
if resultOf(ARGV[16]) then
  return withSnapshot({ 'rotated', now, lineage.n }, sid)
end

local age = math.max(0, now - lineage.rotatedAt)
local otherClient = lineage.client and client and lineage.client ~= client
local state
if n > lineage.n then
  state = 'advanced'
elseif n == lineage.n then
  state = ((rotateAfter and age > rotateAfter) or (n == 0 and ARGV[14] == '1')) and 'rotated' or 'kept'
elseif n == lineage.n - 1 and age <= grace and not otherClient then
  state = 'repeated'
else
  announce('reuse-detected', userKey .. sid)
  finish(userKey, { { sid, 'reuse', clock.createdAt } })
  return announced({ 'theft' })
end

local changes = state == 'rotated' or state == 'advanced'
if changes then
  lineage.n = state == 'rotated' and n + 1 or n
  lineage.rotatedAt = now
  lineage.client = client or lineage.client
  clock.credentials = packLineages(lineages)
end
local touches = ARGV[15] == '1'
if touches then
  clock.lastAccess = now
end
if changes or touches then
  local fields = { 'c' .. sid, packClock(clock) }
  if changes or kind == 2 then
    fields[3], fields[4] = 'p', withOperation(ARGV[16], 0)
  end
  redis.call('HSET', user, unpack(fields))
end
if touches then
  local deadline = deadlineOf(clock)
  redis.call('ZADD', expiries, integer(deadline), userKey .. sid)
  keepUntil(deadline)
end
if state == 'advanced' then
  announce('rotation-lost', userKey .. sid)
end
if kind == 2 then
  announce('refreshed', userKey .. sid)
elseif state == 'rotated' then
  announce('changed', userKey .. sid)
end
return announced(withSnapshot({ state, now, lineage.n }, sid))
