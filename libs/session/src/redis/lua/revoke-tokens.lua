-- Kills every access token issued to a user so far; the sessions live on. Atomic because the cutoff only ever grows.
-- Safe to repeat. A user without a record has no token that could still hold: nothing is written.
-- KEYS, ARGV[1..5]: see header.lua. ARGV[6] user key; [7] user id.
-- Returns {'revoked', cutoff}, or what header.lua returns.
-- include: ends.lua
local userKey = ARGV[6]
local stored = redis.call('HMGET', user, 'u', 'x')
if stored[1] ~= ARGV[7] then
  return { 'revoked', now }
end
local cutoff = math.max(tonumber(stored[2]) or 0, now + 1)
redis.call('HSET', user, 'x', integer(cutoff))
for _, sid in ipairs((scan())) do
  announce('changed', userKey .. sid, nil, ARGV[7])
end
publish()
return { 'revoked', cutoff }
