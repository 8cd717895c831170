-- Ends sessions of one user: the given ones, or all that match. Atomic because "all" means all at one instant.
-- Safe to repeat: a completed operation returns its result again, and a later sign-in is spared. Begins with a delete, so that
-- it works when Redis is out of memory.
-- Records that cannot be read, damaged or of a later version, end as well: signing out everywhere must leave nothing.
-- KEYS, ARGV[1..5]: see header.lua.
-- ARGV[6] user key
-- ARGV[7] user id, or '' for any
-- ARGV[8] name of this operation, 8 bytes
-- ARGV[9] reason
-- ARGV[10] latest creation of a session that may end, epoch ms, or ''
-- ARGV[11] sid to spare, or ''
-- ARGV[12] device hash, or ''
-- ARGV[13] instant before which a sign-in must not have been verified, from now on, epoch ms, or ''
-- ARGV[14…] sids; none for all
-- Returns {'ended', number, the instant now in force or ''}, or what header.lua returns.
-- include: ends.lua
-- include: operations.lua
local userKey, operation, reason, except, device = ARGV[6], ARGV[8], ARGV[9], ARGV[11], ARGV[12]
local createdBefore, verifiedFrom = tonumber(ARGV[10]), tonumber(ARGV[13])
local owner = redis.call('HGET', user, 'u')
if ARGV[7] ~= '' and owner ~= ARGV[7] and (owner or not verifiedFrom) then
  return { 'ended', 0, '' }
end
local done = resultOf(operation)
if done then
  return { 'ended', done, redis.call('HGET', user, 'v') or '' }
end

local sids = {}
if ARGV[14] then
  for index = 14, #ARGV do
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

local ends, ended, stays = {}, 0, now
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
  elseif clock then
    stays = math.max(stays, deadlineOf(clock))
  end
end
finish(userKey, ends)
if verifiedFrom then
  if #ends == 0 then
    -- An empty delete, after which Redis allows writes when out of memory.
    redis.call('ZREM', expiries, userKey)
  end
  verifiedFrom = math.max(verifiedFrom, now, tonumber(redis.call('HGET', user, 'v')) or 0)
  redis.call('HSET', user, 'u', ARGV[7], 'v', integer(verifiedFrom))
  keepUntil(stays)
end
if ended > 0 or verifiedFrom then
  redis.call('HSET', user, 'p', withOperation(operation, ended))
end
return announced({ 'ended', ended, verifiedFrom and integer(verifiedFrom) or '' })
