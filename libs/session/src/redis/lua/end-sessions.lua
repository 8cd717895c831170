-- Ends sessions of one user: the named ones, or all that fit. Atomic because "all" means all at one instant.
-- Safe to repeat: an operation that was carried out already is answered with its result, and a sign-in that followed is
-- spared. Begins with a delete, so that it works when Redis is out of memory.
-- What cannot be read ends as well, be it damaged or of a later version: who signs out everywhere must not leave it behind.
-- KEYS, ARGV[1..5]: see header.lua.
-- ARGV[6] user key; [7] user id, or '' for whoever it is; [8] name of this operation (8 bytes); [9] reason; [10] end
-- only what was created up to this instant, or ''; [11] sid to spare or ''; [12] device hash or ''; [13…] sids, none
-- for all.
-- Returns {'ended', how many}, or what header.lua returns.
-- include: ends.lua
-- include: operations.lua
local userKey, operation, reason, except, device = ARGV[6], ARGV[8], ARGV[9], ARGV[11], ARGV[12]
local createdBefore = tonumber(ARGV[10])
if ARGV[7] ~= '' and redis.call('HGET', user, 'u') ~= ARGV[7] then
  return { 'ended', 0 }
end
local done = resultOf(operation)
if done then
  return { 'ended', done }
end

local sids = {}
if ARGV[13] then
  for index = 13, #ARGV do
    sids[#sids + 1] = ARGV[index]
  end
else
  sids = scan()
end
local clocks, raw = readClocks(sids)

-- A session from the server's future was created before its clock was set back, and so before this operation.
local function isOld(clock)
  return not createdBefore or clock.createdAt <= createdBefore or clock.createdAt > arrived
end

local ends, ended = {}, 0
for _, sid in ipairs(sids) do
  local clock = clocks[sid]
  local expired = clock and expiryOf(clock)
  local wanted
  if clock then
    wanted = sid ~= except and (device == '' or clock.device == device) and isOld(clock)
  else
    wanted = sid ~= except and device == '' and (raw[sid] or redis.call('HEXISTS', user, 'r' .. sid) == 1)
  end
  if expired then
    ends[#ends + 1] = { sid, expired, clock.createdAt }
  elseif wanted then
    ends[#ends + 1] = { sid, reason, clock and clock.createdAt or 0 }
    ended = ended + 1
  end
end
finish(userKey, ends)
if ended > 0 then
  redis.call('HSET', user, 'p', withOperation(operation, ended))
end
return announced({ 'ended', ended })
