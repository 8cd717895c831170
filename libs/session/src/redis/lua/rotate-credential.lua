-- Evaluates a presented credential and applies the verdict: the rules of `evaluate` and `familyAfter` in
-- model/token-family.ts.
-- Atomic because two holders of one token must not both rotate it. Safe to repeat: a completed operation returns the current
-- token again, with or without grace.
-- KEYS, ARGV[1..5]: see header.lua.
-- ARGV[6]  user key
-- ARGV[7]  sid
-- ARGV[8]  kind (1 cookie, 2 refresh)
-- ARGV[9]  hash of the presented secret
-- ARGV[10] its generation
-- ARGV[11] its branch, or '' if it has none
-- ARGV[12] client digest, or ''
-- ARGV[13] grace, ms
-- ARGV[14] age past which the current token rotates, ms, or '' for never
-- ARGV[15] '1' if a token of generation 0 rotates at once
-- ARGV[16] '1' if a replaced token is not reuse until its successor was used
-- ARGV[17] '1' if a replaced token from another client is reuse
-- ARGV[18] '1' if this counts as an access
-- ARGV[19] name of this operation (8 bytes)
-- Returns {state, now, snapshot…} with state rotated, kept, repeated, branched or advanced; {'unknown'}, {'reuse'},
-- {'absent', now, snapshot…}, or what header.lua returns.
-- include: ends.lua
-- include: token-family.lua
-- include: operations.lua
-- include: same-size.lua
-- include: snapshot.lua
local userKey, sid, kind = ARGV[6], ARGV[7], tonumber(ARGV[8])
local generation, branch = tonumber(ARGV[10]), tonumber(ARGV[11])
local client = ARGV[12] ~= '' and ARGV[12] or nil
local grace, rotateAfter = tonumber(ARGV[13]), tonumber(ARGV[14])
local rotateFirst, afterUse, clientBound = ARGV[15] == '1', ARGV[16] == '1', ARGV[17] == '1'
local touches, operation = ARGV[18] == '1', ARGV[19]

local clock = liveClock(sid)
if not clock then
  return withSnapshot({ 'absent', now }, sid)
end
local families = readFamilies(clock)
local family = families[kind]
if not family or family.hash ~= ARGV[9] then
  return { 'unknown' }
end
if resultOf(operation) then
  return withSnapshot({ 'rotated', now }, sid)
end

local function verdict()
  local behind = family.generation - generation
  if behind < 0 or (behind == 0 and branch and branch > family.branch) then
    return 'advanced'
  end
  local age = math.max(0, now - family.branch)
  if behind == 0 and (not branch or branch == family.branch) then
    local due = (rotateAfter and age > rotateAfter) or (family.generation == 0 and rotateFirst)
    return due and 'rotated' or 'kept'
  end
  if clientBound and family.client and client and family.client ~= client then
    return 'reuse'
  end
  local unused = afterUse and not family.inUse
  if behind == 0 then
    return branch == family.replacedBranch and (age <= grace or unused) and 'repeated' or 'reuse'
  end
  if behind > 1 or (branch and family.parentBranch and branch ~= family.parentBranch) then
    return 'reuse'
  end
  if age <= grace then
    return 'repeated'
  end
  return unused and 'branched' or 'reuse'
end

local state = verdict()
if state == 'reuse' then
  announce('reuse-detected', userKey .. sid)
  finish(userKey, { { sid, 'reuse', clock.createdAt } })
  return announced({ 'reuse' })
end

local handsOut = state == 'rotated' or state == 'branched' or state == 'advanced'
local changes = handsOut or (state == 'kept' and not family.inUse)
if state == 'rotated' then
  family.parentBranch, family.replacedBranch = family.branch, nil
  family.generation, family.branch, family.inUse = family.generation + 1, nextBranch(family), false
elseif state == 'branched' then
  family.replacedBranch, family.branch, family.inUse = family.branch, nextBranch(family), false
elseif state == 'advanced' then
  family.parentBranch, family.replacedBranch = nil, generation == family.generation and family.branch or nil
  family.generation, family.branch, family.inUse = generation, branch or nextBranch(family), true
elseif state == 'kept' then
  family.inUse = true
end
if handsOut then
  family.client = client or family.client
end
if changes then
  clock.credentials = packFamilies(families)
end
if touches then
  clock.lastAccess = now
end
if changes or touches then
  local fields = { 'c' .. sid, packClock(clock) }
  if handsOut or kind == 2 then
    fields[3], fields[4] = 'p', withOperation(operation, 0)
  end
  allowSameSize()
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
elseif state == 'rotated' or state == 'branched' then
  announce('changed', userKey .. sid)
end
return announced(withSnapshot({ state, now }, sid))
