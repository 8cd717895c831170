-- Refuses a token until a deadline. Atomic because the deadline may only be extended: a second entry with an earlier one must
-- not make the token valid again. Safe to repeat, and harmless when late.
-- KEYS[1] the token
-- ARGV[1] deadline, epoch ms
-- ARGV[2] channel
-- ARGV[3] what is published there
-- Returns 1 if the token is kept, 0 if the deadline has passed.
local time = redis.call('TIME')
local wanted = tonumber(ARGV[1]) - tonumber(time[1]) * 1000 - math.floor(tonumber(time[2]) / 1000)
local kept = redis.call('PTTL', KEYS[1])
if wanted > 0 and wanted > kept and kept ~= -1 then
  redis.call('SET', KEYS[1], '', 'PXAT', ARGV[1])
  redis.pcall('PUBLISH', ARGV[2], ARGV[3])
end
return wanted > 0 and 1 or 0
