-- include: clock.lua
-- Ending sessions and announcing what happened.
local REASONS = { 'logout', 'idle', 'absolute', 'evicted', 'replaced', 'revoked', 'reuse', 'hijack', 'admin' }
local REASON_NUMBER = {}
for number, reason in ipairs(REASONS) do
  REASON_NUMBER[reason] = number - 1
end
local TOMBSTONE_SIZE = 23
local TOMBSTONES = 8

local messages = {}

-- Queues an announcement; `publish` sends all of them as the script's last act.
local function announce(kind, sessionId, detail, userId)
  messages[#messages + 1] = table.concat({ '1', origin, kind, sessionId, integer(now), detail or '-' }, ' ')
    .. '\n' .. (userId or redis.call('HGET', user, 'u') or '')
end

-- A script does not roll back: what is announced must not be able to fail it.
local function publish()
  for _, message in ipairs(messages) do
    redis.pcall('PUBLISH', channel, message)
  end
end

-- Every sid in the user's hash, and the revoked tokens that may be forgotten.
local function scan()
  local sids, tokens = {}, {}
  for _, field in ipairs(redis.call('HKEYS', user)) do
    local kind = string.sub(field, 1, 1)
    if kind == 'c' and #field == 17 then
      sids[#sids + 1] = string.sub(field, 2)
    elseif kind == 'j' then
      tokens[#tokens + 1] = field
    end
  end
  return sids, tokens
end

-- Clocks of the given sids, by sid; unreadable ones are left out.
local function readClocks(sids)
  local clocks = {}
  for first = 1, #sids, 1000 do
    local fields = {}
    for index = first, math.min(first + 999, #sids) do
      fields[#fields + 1] = 'c' .. sids[index]
    end
    for offset, bytes in ipairs(redis.call('HMGET', user, unpack(fields))) do
      clocks[sids[first + offset - 1]] = unpackClock(bytes)
    end
  end
  return clocks
end

-- Keeps the hash for as long as anything in it may be asked for.
local function keepUntil(deadline)
  local wanted = math.max(1, math.ceil(deadline - now)) + margin
  if redis.call('PTTL', user) < wanted then
    redis.call('PEXPIRE', user, integer(wanted))
  end
end

-- Where no session is left, only the tombstones wait, and not for long.
local function shrink()
  if redis.call('HLEN', user) <= 64 then
    local sids = scan()
    if #sids == 0 then
      redis.call('PEXPIRE', user, integer(margin))
    end
  end
end

-- The tombstone of a sid: its reason and instant, or nil.
local function tombstoneOf(sid)
  local stones = redis.call('HGET', user, 't') or ''
  for at = 1, #stones - TOMBSTONE_SIZE + 1, TOMBSTONE_SIZE do
    if string.sub(stones, at, at + 15) == sid then
      local number, instant = struct.unpack('>BI6', stones, at + 16)
      return REASONS[number + 1], instant
    end
  end
  return nil
end

-- Ends sessions: `ends` is a list of { sid, reason }. Deletes first, which Redis allows even when out of memory.
local function finish(userKey, ends)
  if #ends == 0 then
    return
  end
  local userId = redis.call('HGET', user, 'u') or ''
  for first = 1, #ends, 1000 do
    local fields, ids = {}, {}
    for index = first, math.min(first + 999, #ends) do
      local sid = ends[index][1]
      fields[#fields + 1] = 'r' .. sid
      fields[#fields + 1] = 'c' .. sid
      fields[#fields + 1] = 'k' .. sid
      ids[#ids + 1] = userKey .. sid
    end
    redis.call('HDEL', user, unpack(fields))
    redis.call('ZREM', expiries, unpack(ids))
  end
  local stones = { redis.call('HGET', user, 't') or '' }
  for index = math.max(1, #ends - TOMBSTONES + 1), #ends do
    stones[#stones + 1] = ends[index][1] .. struct.pack('>BI6', REASON_NUMBER[ends[index][2]], now)
  end
  redis.call('HSET', user, 't', string.sub(table.concat(stones), -TOMBSTONES * TOMBSTONE_SIZE), 'u', userId)
  for _, ended in ipairs(ends) do
    announce('ended', userKey .. ended[1], ended[2], userId)
  end
  shrink()
end
