-- Starts a session, including replacement on the same device, the limit and eviction. A pending session ends only the oldest of
-- too many pending ones.
-- Atomic because concurrent sign-ins could otherwise exceed the limit.
-- Safe to repeat: a sid that exists is returned unchanged; one that has ended is refused.
-- KEYS, ARGV[1..5]: see header.lua.
-- ARGV[6] user key
-- ARGV[7] user id
-- ARGV[8] sid
-- ARGV[9] record
-- ARGV[10] revision
-- ARGV[11] device type
-- ARGV[12] flags of the clock, see clock.lua
-- ARGV[13] device hash, or ''
-- ARGV[14] idle timeout, ms
-- ARGV[15] absolute timeout, ms
-- ARGV[16] latest absolute end, epoch ms, or ''
-- ARGV[17] maximum number of sessions
-- ARGV[18] maximum number of sessions of the device type, or ''
-- ARGV[19] policy: recent, oldest or reject
-- ARGV[20] sid to replace, or ''
-- ARGV[21] hash of the cookie's secret, or ''
-- ARGV[22] hash of the refresh token's secret, or ''
-- ARGV[23] client digest, or ''
-- ARGV[24] instant before which the user's proof was not yet verified, epoch ms, or ''
-- Returns {'created', now, snapshot…}, {'ended', reason, instant}, {'limit', now, fields and values…}, {'past'},
-- {'outdated'} if all sessions were ended since the proof was verified,
-- {'collision'} where another user or session has this address, or what header.lua returns.
-- include: admission.lua
-- include: profile.lua
-- include: snapshot.lua
local userKey, userId, sid = ARGV[6], ARGV[7], ARGV[8]
local deviceType, flags, device = tonumber(ARGV[11]), tonumber(ARGV[12]), ARGV[13]
local client = ARGV[23] ~= '' and ARGV[23] or nil

local stored = redis.call('HMGET', user, 'u', 'c' .. sid, 'v')
if stored[1] and stored[1] ~= userId then
  return { 'collision' }
end
if stored[2] then
  local standing = unpackClock(stored[2])
  if not standing then
    return { 'collision' }
  end
  local expired = expiryOf(standing)
  if expired then
    return { 'ended', expired, deadlineOf(standing) }
  end
  return withSnapshot({ 'created', now }, sid)
end
local endedFor, endedAt = tombstoneOf(sid)
if endedFor then
  return { 'ended', endedFor, endedAt }
end

if ARGV[24] ~= '' and tonumber(ARGV[24]) < (tonumber(stored[3]) or 0) then
  return { 'outdated' }
end

local others, clocks, tokens = othersThan(sid)
local idle = math.min(tonumber(ARGV[14]), LAST_INSTANT)
local expiresAt = math.min(now + tonumber(ARGV[15]), tonumber(ARGV[16]) or LAST_INSTANT, LAST_INSTANT)
if expiresAt <= now then
  return { 'past' }
end

local ends, isNew
if flags == PENDING then
  ends = admitPending(others, clocks)
else
  ends, isNew = admit({ flags = flags, deviceType = deviceType, device = device, client = ARGV[23] }, ruleFrom(17), others, clocks)
end
if not ends then
  return refuseEntry(userKey, sid, userId)
end

local families = {}
for kind = 1, 2 do
  if ARGV[20 + kind] ~= '' then
    families[kind] = newFamily(ARGV[20 + kind], now, client)
  end
end
local clock = { deviceType = deviceType, flags = flags, createdAt = now, lastAccess = now, idle = idle, expiresAt = expiresAt,
  authenticatedAt = now, tokensFrom = 0, profileSeq = profileSeq(), revision = ARGV[10],
  device = device == '' and NO_DEVICE or device, credentials = packFamilies(families) }

-- The first write adds the record: if Redis is out of memory, it refuses this write and nothing has changed.
local fields = { 'u', userId, 'r' .. sid, ARGV[9], 'c' .. sid, packClock(clock) }
if tenant ~= '' then
  fields[7], fields[8] = 'n', tenant
end
redis.call('HSET', user, unpack(fields))
redis.call('ZADD', expiries, integer(deadlineOf(clock)), userKey .. sid)
announce('created', userKey .. sid, integer(deadlineOf(clock)), userId)
if isNew then
  announce('new-device', userKey .. sid, nil, userId)
end
finish(userKey, ends)
forgetTokens(tokens)
keepUntil(deadlineOf(clock))
return announced(withSnapshot({ 'created', now }, sid))
