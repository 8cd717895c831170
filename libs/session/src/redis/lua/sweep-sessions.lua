-- Removes sessions of one user that are past their deadline, each announced once.
-- Atomic because the deadline is read again: a session that was touched since it was listed lives on.
-- KEYS, ARGV[1..5]: see header.lua. ARGV[6] user key; [7…] sids that the sorted set says are due.
-- Returns {'swept', how many}, or what header.lua returns.
-- include: ends.lua
local userKey = ARGV[6]
local sids = {}
for index = 7, #ARGV do
  sids[#sids + 1] = ARGV[index]
end
local clocks = readClocks(sids)
local exists = redis.call('EXISTS', user) == 1
local ends, early, swept = {}, {}, 0
for _, sid in ipairs(sids) do
  local clock = clocks[sid]
  if not clock then
    redis.call('ZREM', expiries, userKey .. sid)
    if not exists then
      -- The hash is gone before any sweeper came by: what is left to tell is the end itself.
      announce('ended', userKey .. sid, 'idle', '')
      swept = swept + 1
    end
  elseif expiryOf(clock) then
    ends[#ends + 1] = { sid, expiryOf(clock) }
    swept = swept + 1
  else
    early[#early + 1] = sid
  end
end
finish(userKey, ends)
for _, sid in ipairs(early) do
  -- The delete comes first, so that this works when Redis is out of memory.
  redis.call('ZREM', expiries, userKey .. sid)
  redis.call('ZADD', expiries, integer(deadlineOf(clocks[sid])), userKey .. sid)
end
if exists then
  local _, tokens = scan()
  for _, field in ipairs(tokens) do
    if (tonumber(redis.call('HGET', user, field)) or 0) <= now then
      redis.call('HDEL', user, field)
    end
  end
end
publish()
return { 'swept', swept }
