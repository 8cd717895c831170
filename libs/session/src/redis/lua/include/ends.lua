-- include: clock.lua
-- Ends sessions and publishes events.
local REASONS = { 'logout', 'idle', 'absolute', 'evicted', 'replaced', 'revoked', 'reuse', 'hijack', 'admin' }
local REASON_NUMBER = {}
for number, reason in ipairs(REASONS) do
  REASON_NUMBER[reason] = number - 1
end
local TOMBSTONE_SIZE = 23
local TOMBSTONES = 8
local MOST_TOMBSTONES = 128
-- How long a command may be resent, ms.
local RESEND_WINDOW = math.max(10000, notAfter - arrived)

local messages = {}

-- Queues an event; `announced` sends all of them at the end of the script.
local function announce(kind, sessionId, detail, userId)
  local whose = tenant == '\0' and tenantOfUser() or tenant
  local form, line = '1', ''
  if whose ~= '' then
    form, line = '3', whose .. '\n'
  end
  messages[#messages + 1] = table.concat({ form, origin, kind, sessionId, integer(now), detail or '-' }, ' ')
    .. '\n' .. line .. (userId or redis.call('HGET', user, 'u') or '')
end

-- Whether consumers get the event: not those of every use.
local function isKept(message)
  return not string.find(message, '^[13] %S+ refreshed ') and not string.find(message, '^[13] %S+ due ')
    and not string.find(message, '^[13] %S+ changed %S+ %S+ %-\n')
end

-- Publishes the queued events and puts them before the reply, so that the calling instance gets them even while its channel is
-- down. Uses pcall: scripts do not roll back, so publishing must not fail them.
local function announced(reply)
  if #messages == 0 then
    return reply
  end
  for _, message in ipairs(messages) do
    if stream and isKept(message) then
      redis.pcall('XADD', stream, 'MAXLEN', '~', streamLength, '*', 'm', message)
      redis.pcall('PEXPIRE', stream, streamLifetime)
    end
    redis.pcall('PUBLISH', channel, message)
  end
  table.insert(reply, 1, messages)
  return reply
end

-- Every sid in the user's hash, readable or not, and the fields of revoked tokens.
local function scan()
  local sids, tokens, seen = {}, {}, {}
  for _, field in ipairs(redis.call('HKEYS', user)) do
    local kind = string.sub(field, 1, 1)
    if (kind == 'c' or kind == 'r') and #field == 17 then
      local sid = string.sub(field, 2)
      if not seen[sid] then
        seen[sid] = true
        sids[#sids + 1] = sid
      end
    elseif kind == 'j' then
      tokens[#tokens + 1] = field
    end
  end
  return sids, tokens
end

-- Values of many fields, in order. Lua cannot pass more than a few thousand arguments at once.
local function readFields(fields)
  local values = {}
  for first = 1, #fields, 1000 do
    for _, value in ipairs(redis.call('HMGET', user, unpack(fields, first, math.min(first + 999, #fields)))) do
      values[#values + 1] = value
    end
  end
  return values
end

-- Clocks of the given sids, by sid, and their bytes; unreadable clocks are left out.
local function readClocks(sids)
  local fields, clocks, raw = {}, {}, {}
  for index, sid in ipairs(sids) do
    fields[index] = 'c' .. sid
  end
  for index, bytes in ipairs(readFields(fields)) do
    raw[sids[index]] = bytes
    clocks[sids[index]] = unpackClock(bytes)
  end
  return clocks, raw
end

-- Deletes the fields of revoked tokens that have expired.
local function forgetTokens(tokens)
  for index, deadline in ipairs(readFields(tokens)) do
    if (tonumber(deadline) or math.huge) <= now then
      redis.call('HDEL', user, tokens[index])
    end
  end
end

-- How long the hash outlives its last session: as long as sign-ins verified before all sessions ended may still arrive.
local SIGN_IN_WINDOW = 600000
local function afterlife()
  return redis.call('HEXISTS', user, 'v') == 1 and math.max(margin, SIGN_IN_WINDOW) or margin
end

-- Extends the TTL of the hash to cover this deadline.
local function keepUntil(deadline)
  local wanted = math.max(1, math.ceil(deadline - now)) + afterlife()
  if redis.call('PTTL', user) < wanted then
    redis.call('PEXPIRE', user, integer(wanted))
  end
end

-- Shortens the TTL of a hash without sessions: it holds only tombstones and the instant for refused sign-ins.
local function shrink()
  if redis.call('HLEN', user) <= 512 and #scan() == 0 then
    redis.call('PEXPIRE', user, integer(afterlife()))
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

-- The tombstones with those of `ends` appended. The last eight stay; more stay while a sign-in of theirs may be resent.
local function withTombstones(ends)
  local before = redis.call('HGET', user, 't') or ''
  local stones = { #before % TOMBSTONE_SIZE == 0 and before or '' }
  for _, ended in ipairs(ends) do
    stones[#stones + 1] = ended[1] .. struct.pack('>BI6', REASON_NUMBER[ended[2]], now)
  end
  local all = table.concat(stones)
  local count, from = #all / TOMBSTONE_SIZE, 1
  while count > TOMBSTONES do
    local young = struct.unpack('>I6', all, from + 17) > now - RESEND_WINDOW
    if young and count <= MOST_TOMBSTONES then
      break
    end
    count, from = count - 1, from + TOMBSTONE_SIZE
  end
  return string.sub(all, from)
end

-- Ends sessions: `ends` is a list of { sid, reason, createdAt }. Deletes first, which Redis allows even when out of memory.
local function finish(userKey, ends)
  if #ends == 0 then
    return
  end
  -- The youngest last: their sign-in may be resent, so their tombstones are the ones to keep.
  table.sort(ends, function(a, b)
    return a[3] < b[3]
  end)
  local userId = redis.call('HGET', user, 'u') or ''
  for first = 1, #ends, 1000 do
    local fields, ids = {}, {}
    for index = first, math.min(first + 999, #ends) do
      local sid = ends[index][1]
      fields[#fields + 1] = 'r' .. sid
      fields[#fields + 1] = 'c' .. sid
      fields[#fields + 1] = 'k' .. sid
      fields[#fields + 1] = 'q' .. sid
      ids[#ids + 1] = userKey .. sid
    end
    redis.call('HDEL', user, unpack(fields))
    redis.call('ZREM', expiries, unpack(ids))
  end
  redis.call('HSET', user, 't', withTombstones(ends))
  for _, ended in ipairs(ends) do
    announce('ended', userKey .. ended[1], ended[2], userId)
  end
  shrink()
end
