-- Shared opening of every script.
-- KEYS[1] the user's hash; KEYS[2] the bucket's sorted set of deadlines; KEYS[3] where events are also kept for consumers,
-- the stream that takes them.
-- ARGV[1] channel; ARGV[2] name of the asking instance; ARGV[3] ms added to the server's time (0 but in tests);
-- ARGV[4] instant after which the script must change nothing; ARGV[5] ms for which an ended session is remembered, and with
-- KEYS[3] behind commas: most entries of the stream, ms for which it is kept.
-- Returns early: {'late', now} past that instant; {'wrongtype'} where a key holds something that is not ours.
local user, expiries, stream = KEYS[1], KEYS[2], KEYS[3]
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

-- Where a session's own time is ahead of the server's (a clock was set back, a replica took over), its time counts.
-- What lies more than a day ahead is damage and no time: one such session must not carry the others along.
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
