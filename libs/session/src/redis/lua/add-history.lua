-- Adds an entry to a user's audit trail, and drops what is too much or too old. Atomic because the cap holds at every instant.
-- Safe to repeat: an entry that is there already is not added again.
-- KEYS[1] the trail. ARGV[1] the entry; [2] its instant, epoch ms; [3] most entries; [4] ms for which one is kept; [5] ms added
-- to the server's time (0 but in tests).
-- Returns how many entries there are.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) + tonumber(ARGV[5])
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. string.format('%.0f', now - tonumber(ARGV[4])))
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -tonumber(ARGV[3]) - 1)
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return redis.call('ZCARD', KEYS[1])
