-- Adds an entry to a user's audit trail, and drops entries past the maximum number or age. Atomic so that the maximum is never
-- exceeded. Safe to repeat: an identical entry is not added again.
-- KEYS[1] the trail
-- ARGV[1] the entry
-- ARGV[2] its instant, epoch ms
-- ARGV[3] maximum number of entries
-- ARGV[4] ms for which an entry is kept
-- ARGV[5] ms added to the server's time, 0 outside tests
-- Returns how many entries there are.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) + tonumber(ARGV[5])
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. string.format('%.0f', now - tonumber(ARGV[4])))
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -tonumber(ARGV[3]) - 1)
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return redis.call('ZCARD', KEYS[1])
