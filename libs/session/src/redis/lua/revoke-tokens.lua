-- Kills every access token issued to a user so far; the sessions live on. Atomic because the cutoff only ever grows.
-- Safe to repeat: an operation that was carried out already is answered with its cutoff. A user without a session has no
-- token that could still hold: nothing is written.
-- KEYS, ARGV[1..5]: see header.lua. ARGV[6] user key; [7] user id; [8] name of this operation (8 bytes).
-- Returns {'revoked', cutoff}, or what header.lua returns.
-- include: ends.lua
-- include: operations.lua
local userKey, userId, operation = ARGV[6], ARGV[7], ARGV[8]
local stored = redis.call('HMGET', user, 'u', 'x')
local sids = scan()
if stored[1] ~= userId or #sids == 0 then
  return { 'revoked', now + 1 }
end
local done = resultOf(operation)
if done then
  return { 'revoked', done }
end
local cutoff = math.max(tonumber(stored[2]) or 0, now + 1)
redis.call('HSET', user, 'x', integer(cutoff), 'p', withOperation(operation, cutoff))
local clocks = readClocks(sids)
for _, sid in ipairs(sids) do
  if not clocks[sid] or not expiryOf(clocks[sid]) then
    announce('changed', userKey .. sid, 'tokens-revoked', userId)
  end
end
return announced({ 'revoked', cutoff })
