-- Raises the instant before which a subject's tokens are dead. Atomic because it only ever grows; safe to repeat, and
-- harmless when late.
-- KEYS[1] the cutoff. ARGV[1] new cutoff, epoch ms; [2] ms for which to keep it.
-- Returns the cutoff that holds.
local stored = tonumber(redis.call('GET', KEYS[1])) or 0
local cutoff = math.max(stored, tonumber(ARGV[1]))
local ttl = math.max(redis.call('PTTL', KEYS[1]), tonumber(ARGV[2]))
redis.call('SET', KEYS[1], string.format('%.0f', cutoff), 'PX', string.format('%.0f', ttl))
return string.format('%.0f', cutoff)
