-- Revokes all access tokens issued to a user so far; the sessions stay live. Atomic because the cutoff must never decrease.
-- Safe to repeat: a completed operation returns its cutoff again. Without a session no token is valid, so nothing is written.
-- KEYS, ARGV[1..5]: see header.lua.
-- ARGV[6] user key
-- ARGV[7] user id
-- ARGV[8] name of this operation, 8 bytes
-- ARGV[9] the cutoff of an earlier run that is repeated because the server may have lost it, epoch ms, or ''
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
local before, wanted = tonumber(stored[2]) or 0, tonumber(ARGV[9])
if wanted and wanted <= before then
  return { 'revoked', before }
end
local cutoff = math.max(before, wanted or now + 1)
redis.call('HSET', user, 'x', integer(cutoff), 'p', withOperation(operation, cutoff))
local clocks = readClocks(sids)
for _, sid in ipairs(sids) do
  if not clocks[sid] or not expiryOf(clocks[sid]) then
    announce('changed', userKey .. sid, 'tokens-revoked', userId)
  end
end
return announced({ 'revoked', cutoff })
