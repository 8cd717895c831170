-- Raises the instant before which a subject's tokens are refused. Atomic because it must never decrease; safe to repeat, and
-- harmless when late.
-- KEYS[1] the cutoff
-- ARGV[1] new cutoff, epoch ms
-- ARGV[2] ms for which to keep it
-- ARGV[3] channel
-- ARGV[4] what is published there
-- Returns the cutoff now in force.
local stored = tonumber(redis.call('GET', KEYS[1])) or 0
local cutoff = math.max(stored, tonumber(ARGV[1]))
local ttl = math.max(redis.call('PTTL', KEYS[1]), tonumber(ARGV[2]))
redis.call('SET', KEYS[1], string.format('%.0f', cutoff), 'PX', string.format('%.0f', ttl))
redis.pcall('PUBLISH', ARGV[3], ARGV[4])
return string.format('%.0f', cutoff)
