-- Starts a session: replacement on the same device, the limit and eviction included.
-- Atomic because a limit that is checked apart from the write can be raced past.
-- Safe to repeat: a sid that is there already is answered as it stands; one that ended meanwhile is refused.
-- KEYS, ARGV[1..5]: see header.lua.
-- ARGV[6] user key; [7] user id; [8] sid; [9] record; [10] revision; [11] device type, and 8 more where the
-- session counts towards no limit and an administrator holds it; [12] device hash or '';
-- [13] idle timeout ms; [14] absolute timeout ms; [15] latest absolute end or ''; [16] most sessions; [17] most of the
-- device type or ''; [18] policy (recent, oldest, reject); [19] sid to replace or ''; [20] cookie secret's hash or '';
-- [21] refresh secret's hash or ''; [22] client digest or ''.
-- Returns {'created', clock, email profile, roles profile, [record, where it was there already]}, {'ended', reason,
-- instant}, {'limit', now, fields and values…}, {'past'}, {'collision'} where something else stands at the user's or the
-- session's address, or what header.lua returns.
-- include: ends.lua
-- include: lineage.lua
-- include: profile.lua
local userKey, userId, sid = ARGV[6], ARGV[7], ARGV[8]
local deviceType, device = tonumber(ARGV[11]), ARGV[12]
local most, mostOfType, policy, replaces = tonumber(ARGV[16]), tonumber(ARGV[17]), ARGV[18], ARGV[19]

local stored = redis.call('HMGET', user, 'u', 'e', 'o', 'c' .. sid, 'r' .. sid)
if stored[1] and stored[1] ~= userId then
  return { 'collision' }
end
if stored[4] then
  local standing = unpackClock(stored[4])
  if not standing then
    return { 'collision' }
  end
  local expired = expiryOf(standing)
  if expired then
    return { 'ended', expired, deadlineOf(standing) }
  end
  return { 'created', stored[4], stored[2], stored[3], stored[5] }
end
local endedFor, endedAt = tombstoneOf(sid)
if endedFor then
  return { 'ended', endedFor, endedAt }
end

local UNCOUNTED = 8
local sids, tokens = scan()
local clocks = readClocks(sids)
for _, clock in pairs(clocks) do
  notBefore(clock.lastAccess)
end
local idle = math.min(tonumber(ARGV[13]), LAST_INSTANT)
local expiresAt = math.min(now + tonumber(ARGV[14]), tonumber(ARGV[15]) or LAST_INSTANT, LAST_INSTANT)
if expiresAt <= now then
  return { 'past' }
end

local ends, live, liveOfType = {}, {}, {}
local here = false
local function willEnd(other, reason)
  ends[#ends + 1] = { other, reason, clocks[other].createdAt }
end
for _, other in ipairs(sids) do
  local clock = clocks[other]
  if clock then
    local expired = expiryOf(clock)
    if expired then
      willEnd(other, expired)
    elseif other == replaces or (device ~= '' and clock.device == device) then
      willEnd(other, 'replaced')
      here = true
    elseif clock.deviceType < UNCOUNTED then
      live[#live + 1] = other
      if clock.deviceType == deviceType then
        liveOfType[#liveOfType + 1] = other
      end
    end
  end
end

local key = policy == 'oldest' and 'createdAt' or 'lastAccess'
local function sooner(a, b)
  local left, right = clocks[a][key], clocks[b][key]
  if left == right then
    return a < b
  end
  return left < right
end

local evicted = {}
local function evictDownTo(candidates, max)
  local staying = {}
  for _, candidate in ipairs(candidates) do
    if not evicted[candidate] then
      staying[#staying + 1] = candidate
    end
  end
  local surplus = #staying + 1 - max
  if surplus <= 0 then
    return true
  end
  if policy == 'reject' then
    return false
  end
  if surplus == 1 then
    -- By far the usual case, and not worth sorting a thousand for.
    for index = 2, #staying do
      if sooner(staying[index], staying[1]) then
        staying[1], staying[index] = staying[index], staying[1]
      end
    end
  else
    table.sort(staying, sooner)
  end
  for index = 1, surplus do
    evicted[staying[index]] = true
    willEnd(staying[index], 'evicted')
  end
  return true
end

-- Whether the user is signed in elsewhere and not here: told by the device, or else by the client's digest.
local function isNewDevice()
  if here or #live == 0 then
    return false
  end
  if device ~= '' then
    return true
  end
  local elsewhere = false
  for _, other in ipairs(live) do
    for _, lineage in pairs(readLineages(clocks[other])) do
      if lineage.client and lineage.client == ARGV[22] then
        return false
      end
      elsewhere = elsewhere or lineage.client ~= nil
    end
  end
  return elsewhere and ARGV[22] ~= ''
end

local counts = deviceType < UNCOUNTED
local isNew = counts and isNewDevice()
if counts and ((mostOfType and not evictDownTo(liveOfType, mostOfType)) or not evictDownTo(live, most)) then
  announce('limit-reached', userKey .. sid, nil, userId)
  local reply = { 'limit', now }
  for index, value in ipairs(redis.call('HGETALL', user)) do
    reply[2 + index] = value
  end
  return announced(reply)
end

local client = ARGV[22] ~= '' and ARGV[22] or nil
local lineages = {}
for kind = 1, 2 do
  if ARGV[19 + kind] ~= '' then
    lineages[kind] = { hash = ARGV[19 + kind], n = 0, rotatedAt = now, client = client }
  end
end
local clock = { deviceType = deviceType, createdAt = now, lastAccess = now, idle = idle, expiresAt = expiresAt,
  authenticatedAt = now, tokensFrom = 0, profileSeq = math.max(seqOf(stored[2]), seqOf(stored[3])), revision = ARGV[10],
  device = device == '' and NO_DEVICE or device, credentials = packLineages(lineages) }
local packed = packClock(clock)

-- The first write is the one that grows: out of memory, Redis refuses it and nothing has happened.
redis.call('HSET', user, 'u', userId, 'r' .. sid, ARGV[9], 'c' .. sid, packed)
redis.call('ZADD', expiries, integer(deadlineOf(clock)), userKey .. sid)
announce('created', userKey .. sid, nil, userId)
if isNew then
  announce('new-device', userKey .. sid, nil, userId)
end
finish(userKey, ends)
forgetTokens(tokens)
keepUntil(deadlineOf(clock))
return announced({ 'created', packed, stored[2], stored[3] })
