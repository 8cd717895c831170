-- Revokes one access token of a live session. Atomic because nothing may be stored for a session that has ended.
-- Safe to repeat: the later deadline counts. Past a thousand revoked tokens of a user, the session with the most of them gets a
-- cutoff instead: its earlier access tokens are refused, and its fields are deleted.
-- KEYS, ARGV[1..5]: see header.lua.
-- ARGV[6] user key
-- ARGV[7] sid
-- ARGV[8] token id
-- ARGV[9] instant from which it may be forgotten, epoch ms
-- Returns {'revoked'}, {'absent'}, or what header.lua returns.
-- include: ends.lua
local userKey, sid, field, deadline = ARGV[6], ARGV[7], 'j' .. ARGV[8], tonumber(ARGV[9])
if not liveClock(sid) then
  return { 'absent' }
end
local MOST_REVOKED = 1000

-- A token belongs to the session whose id its token id begins with.
local function sidOfToken(name)
  return string.sub(name, 2, 17) == userKey and string.sub(name, 18, 33) or ''
end

local function makeRoom()
  if redis.call('HLEN', user) <= MOST_REVOKED then
    return
  end
  local _, tokens = scan()
  forgetTokens(tokens)
  local bySid, count, most = {}, 0, nil
  _, tokens = scan()
  for _, name in ipairs(tokens) do
    local of = sidOfToken(name)
    bySid[of] = bySid[of] or {}
    table.insert(bySid[of], name)
    count = count + 1
    if not most or #bySid[of] > #bySid[most] then
      most = of
    end
  end
  if count <= MOST_REVOKED then
    return
  end
  local clock = liveClock(most)
  if clock then
    clock.tokensFrom = math.max(clock.tokensFrom, now + 1)
    redis.call('HSET', user, 'c' .. most, packClock(clock))
    announce('changed', userKey .. most, 'tokens-revoked')
  elseif most == '' then
    -- Ids in another format: they name no session for a cutoff.
    return
  end
  for first = 1, #bySid[most], 1000 do
    redis.call('HDEL', user, unpack(bySid[most], first, math.min(first + 999, #bySid[most])))
  end
end

if deadline > now and (tonumber(redis.call('HGET', user, field)) or 0) < deadline then
  redis.call('HSET', user, field, integer(deadline))
  announce('changed', userKey .. sid, 'tokens-revoked')
  makeRoom()
end
return announced({ 'revoked' })
