-- Ends sessions of one user: the named ones, or all that fit. Atomic because "all" means all at one instant.
-- Safe to repeat: the operation's name is kept with its result, and a sign-in that followed is spared.
-- Begins with a delete, so that it works when Redis is out of memory.
-- KEYS, ARGV[1..5]: see header.lua.
-- ARGV[6] user key; [7] user id, or '' for whoever it is; [8] name of this operation (8 bytes); [9] reason; [10] end
-- only what was created up to this instant, or ''; [11] sid to spare or ''; [12] device hash or ''; [13…] sids, none
-- for all.
-- Returns {'ended', how many}, or what header.lua returns.
-- include: ends.lua
local userKey, operation, reason, except, device = ARGV[6], ARGV[8], ARGV[9], ARGV[11], ARGV[12]
local createdBefore = tonumber(ARGV[10])
local stored = redis.call('HMGET', user, 'u', 'p')
if ARGV[7] ~= '' and stored[1] ~= ARGV[7] then
  return { 'ended', 0 }
end
if stored[2] and string.sub(stored[2], 1, 8) == operation then
  return { 'ended', tonumber(string.sub(stored[2], 9)) }
end

local sids = {}
if ARGV[13] then
  for index = 13, #ARGV do
    sids[#sids + 1] = ARGV[index]
  end
else
  sids = scan()
end
local clocks = readClocks(sids)
local ends, ended = {}, 0
for _, sid in ipairs(sids) do
  local clock = clocks[sid]
  if clock then
    local expired = expiryOf(clock)
    if expired then
      ends[#ends + 1] = { sid, expired }
    elseif sid ~= except and (device == '' or clock.device == device)
      and (not createdBefore or clock.createdAt <= createdBefore) then
      ends[#ends + 1] = { sid, reason }
      ended = ended + 1
    end
  end
end
finish(userKey, ends)
if ended > 0 then
  redis.call('HSET', user, 'p', operation .. ended)
end
publish()
return { 'ended', ended }
