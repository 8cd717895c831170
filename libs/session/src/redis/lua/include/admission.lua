-- include: ends.lua
-- include: token-family.lua
-- Which sessions of the user make way for one that signs in. A session that waits for a further factor displaces no
-- other, as its holder may only have the password: it is admitted once the factor is proved.
local MOST_PENDING = 3

local function isPending(clock)
  return clock.flags == PENDING
end

-- The user's other sessions, their clocks, and the fields of singly revoked tokens. Raises `now` to the latest instant
-- that they recorded.
local function othersThan(sid)
  local sids, tokens = scan()
  local clocks, others = readClocks(sids), {}
  for _, other in ipairs(sids) do
    if other ~= sid and clocks[other] then
      notBefore(clocks[other].lastAccess)
      others[#others + 1] = other
    end
  end
  return others, clocks, tokens
end

-- Moves the `surplus` candidates that sort first to the front; ties go to the smaller sid, so that all adapters choose
-- alike.
local function putFirst(candidates, surplus, clocks, key)
  local function sooner(a, b)
    local left, right = clocks[a][key], clocks[b][key]
    if left == right then
      return a < b
    end
    return left < right
  end
  if surplus > 1 then
    table.sort(candidates, sooner)
    return
  end
  -- The usual case by far, and not worth sorting a thousand.
  for index = 2, #candidates do
    if sooner(candidates[index], candidates[1]) then
      candidates[1], candidates[index] = candidates[index], candidates[1]
    end
  end
end

-- Whether the user is signed in elsewhere but not here: compared by device, or otherwise by the client's digest.
local function isElsewhere(entrant, live, clocks)
  if entrant.device ~= '' then
    return #live > 0
  end
  local elsewhere = false
  for _, other in ipairs(live) do
    for _, family in pairs(readFamilies(clocks[other])) do
      if family.client and family.client == entrant.client then
        return false
      end
      elsewhere = elsewhere or family.client ~= nil
    end
  end
  return elsewhere and entrant.client ~= ''
end

-- Adds to `ends` the first candidates that must end so that `most` sessions remain with the entrant; `gone` names those
-- that end already.
local function evictDownTo(most, candidates, key, clocks, ends, gone)
  local staying = {}
  for _, candidate in ipairs(candidates) do
    if not gone[candidate] then
      staying[#staying + 1] = candidate
    end
  end
  local surplus = #staying + 1 - most
  if surplus > 0 then
    putFirst(staying, surplus, clocks, key)
  end
  for index = 1, surplus do
    gone[staying[index]] = true
    ends[#ends + 1] = { staying[index], 'evicted', clocks[staying[index]].createdAt }
  end
end

-- Sessions that end when a session that waits for a further factor starts: the oldest of too many such.
local function admitPending(others, clocks)
  local ends, waiting = {}, {}
  for _, other in ipairs(others) do
    local expired = expiryOf(clocks[other])
    if expired then
      ends[#ends + 1] = { other, expired, clocks[other].createdAt }
    elseif isPending(clocks[other]) then
      waiting[#waiting + 1] = other
    end
  end
  evictDownTo(MOST_PENDING, waiting, 'createdAt', clocks, ends, {})
  return ends
end

-- Sessions that end when the entrant { flags, deviceType, device or '', client or '' } is admitted under the rule {
-- most, mostOfType, policy, replaces }, as a list for `finish`, and whether its device is new. Nil if the policy
-- rejects it.
local function admit(entrant, rule, others, clocks)
  local ends, live, liveOfType, here = {}, {}, {}, false
  for _, other in ipairs(others) do
    local clock = clocks[other]
    local expired = expiryOf(clock)
    if expired then
      ends[#ends + 1] = { other, expired, clock.createdAt }
    elseif other == rule.replaces or (entrant.device ~= '' and clock.device == entrant.device) then
      ends[#ends + 1] = { other, 'replaced', clock.createdAt }
      here = here or not isPending(clock)
    elseif clock.flags == 0 then
      live[#live + 1] = other
      if clock.deviceType == entrant.deviceType then
        liveOfType[#liveOfType + 1] = other
      end
    end
  end
  if entrant.flags ~= 0 then
    return ends, false
  end
  local isNew = not here and isElsewhere(entrant, live, clocks)
  if rule.policy == 'reject' and (#live >= rule.most or #liveOfType >= (rule.mostOfType or math.huge)) then
    return nil
  end
  local key, gone = rule.policy == 'oldest' and 'createdAt' or 'lastAccess', {}
  if rule.mostOfType then
    evictDownTo(rule.mostOfType, liveOfType, key, clocks, ends, gone)
  end
  evictDownTo(rule.most, live, key, clocks, ends, gone)
  return ends, isNew
end

-- Replies that the limit is reached, with all fields of the user, and announces it.
local function refuseEntry(userKey, sid, userId)
  announce('limit-reached', userKey .. sid, nil, userId)
  local reply = { 'limit', now }
  for index, value in ipairs(redis.call('HGETALL', user)) do
    reply[2 + index] = value
  end
  return announced(reply)
end

-- Makes a session count, or wait for a further factor: `flags` are the new flags of its clock, or '' to keep them; with
-- `rule` it is admitted under that rule. Returns the sessions that end and whether the device is new; nil if the policy
-- rejects it.
local function restand(sid, clock, flags, rule)
  if flags == '' then
    return {}, false
  end
  local waited = isPending(clock)
  clock.flags = tonumber(flags)
  if not waited or not rule.most then
    return {}, false
  end
  local client = ''
  for _, family in pairs(readFamilies(clock)) do
    client = family.client or client
  end
  local others, clocks = othersThan(sid)
  local entrant = { flags = clock.flags, deviceType = clock.deviceType, device = clock.device ~= NO_DEVICE and clock.device or '',
    client = client }
  return admit(entrant, rule, others, clocks)
end

-- The rule in four arguments from this one on: maximum of sessions or ''; of the device type or ''; policy; sid to
-- replace or ''.
local function ruleFrom(first)
  return { most = tonumber(ARGV[first]), mostOfType = tonumber(ARGV[first + 1]), policy = ARGV[first + 2],
    replaces = ARGV[first + 3] }
end
