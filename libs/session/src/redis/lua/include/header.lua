-- Shared beginning of every script.
-- KEYS[1] the user's hash
-- KEYS[2] the bucket's sorted set of deadlines
-- KEYS[3] the stream that keeps events for consumers, if there are any
-- ARGV[1] channel
-- ARGV[2] name of the calling instance
-- ARGV[3] ms added to the server's time, 0 outside tests
-- ARGV[4] instant after which the script must not change anything, epoch ms
-- ARGV[5] ms for which an ended session is remembered; with KEYS[3] followed, after commas, by the maximum number of entries of
-- the stream and the ms for which it is kept
-- ARGV, the last: the tenant whose user this must be, '' for none, '\0' for any
-- Returns early: {'late', now} past that instant; {'wrongtype'} where a key holds another type of value; {'foreign'}
-- if the user belongs to another tenant.
local user, expiries, stream = KEYS[1], KEYS[2], KEYS[3]
local tenant = table.remove(ARGV)
local channel, origin, notAfter = ARGV[1], ARGV[2], tonumber(ARGV[4])
local margin, streamLength, streamLifetime = string.match(ARGV[5], '^(%d+),?(%d*),?(%d*)$')
margin = tonumber(margin)

local function serverTime()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) + tonumber(ARGV[3])
end

local arrived = serverTime()
if arrived > notAfter then
  return { 'late', arrived }
end

local function isType(key, wanted)
  local found = redis.call('TYPE', key)['ok']
  return found == 'none' or found == wanted
end

if not isType(user, 'hash') or not isType(expiries, 'zset') then
  return { 'wrongtype' }
end

-- The tenant of the user's record.
local function tenantOfUser()
  return redis.call('HGET', user, 'n') or ''
end

if tenant ~= '\0' and tenantOfUser() ~= tenant and redis.call('EXISTS', user) == 1 then
  return { 'foreign' }
end

-- If a session's time is ahead of the server's (a clock was set back, a replica took over), the session's time counts. More than
-- a day ahead is damage and ignored, so that one such session does not affect the others.
local now = arrived
local A_DAY = 86400000
local function notBefore(instant)
  if instant > now and instant <= arrived + A_DAY then
    now = instant
  end
end

local function integer(number)
  return string.format('%.0f', number)
end
