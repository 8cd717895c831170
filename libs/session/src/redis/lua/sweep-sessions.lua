-- Removes one user's sessions past their deadline and publishes each end once.
-- Atomic because the deadline is read again: a session that was touched after it was listed stays.
-- A member of the sorted set is removed together with its session, so the end of a member without a session was never published.
-- Records of a later version stay, for instances that can read them.
-- KEYS, ARGV[1..5]: see header.lua.
-- ARGV[6] user key
-- ARGV[7…] sids that the sorted set says are due
-- Returns {'swept', number removed, number that stays listed}, or what header.lua returns.
-- include: ends.lua
local userKey = ARGV[6]
local sids = {}
for index = 7, #ARGV do
  sids[#sids + 1] = ARGV[index]
end
local clocks, raw = readClocks(sids)
local exists = redis.call('EXISTS', user) == 1
local ends, early, swept, staying = {}, {}, 0, 0
for _, sid in ipairs(sids) do
  local clock = clocks[sid]
  local member = userKey .. sid
  if clock then
    local expired = expiryOf(clock)
    if expired then
      ends[#ends + 1] = { sid, expired, clock.createdAt }
    else
      early[#early + 1] = sid
    end
  elseif raw[sid] and formOf(raw[sid]) > FORM then
    staying = staying + 1
  elseif redis.call('ZSCORE', expiries, member) then
    if exists then
      ends[#ends + 1] = { sid, 'idle', 0 }
    else
      redis.call('ZREM', expiries, member)
      announce('ended', member, 'idle', '')
      swept = swept + 1
    end
  end
end
swept = swept + #ends
finish(userKey, ends)
for _, sid in ipairs(early) do
  -- The delete comes first, so that this works when Redis is out of memory.
  redis.call('ZREM', expiries, userKey .. sid)
  redis.call('ZADD', expiries, integer(deadlineOf(clocks[sid])), userKey .. sid)
end
if exists then
  local _, tokens = scan()
  forgetTokens(tokens)
end
return announced({ 'swept', swept, staying })
