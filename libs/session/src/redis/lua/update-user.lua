-- Sets email or roles for all live sessions of a user. Atomic because the sessions read them from one place.
-- Safe to repeat: a completed operation returns its result again. Writes nothing for a user without live sessions.
-- KEYS, ARGV[1..5]: see header.lua.
-- ARGV[6] user key
-- ARGV[7] user id
-- ARGV[8] '1' with an email
-- ARGV[9] email
-- ARGV[10] '1' with roles
-- ARGV[11] roles, JSON
-- ARGV[12] name of this operation, 8 bytes
-- Returns {'updated', live sessions}, or what header.lua returns.
-- include: ends.lua
-- include: operations.lua
-- include: profile.lua
local userKey, userId, operation = ARGV[6], ARGV[7], ARGV[12]
if redis.call('HGET', user, 'u') ~= userId then
  return { 'updated', 0 }
end
local done = resultOf(operation)
if done then
  return { 'updated', done }
end
local live = {}
for sid, clock in pairs(readClocks((scan()))) do
  if not expiryOf(clock) then
    live[#live + 1] = sid
  end
end
local fields = {}
local prefix = integer(profileSeq() + 1) .. ':'
if ARGV[8] == '1' then
  fields[#fields + 1] = 'e'
  fields[#fields + 1] = prefix .. ARGV[9]
end
if ARGV[10] == '1' then
  fields[#fields + 1] = 'o'
  fields[#fields + 1] = prefix .. ARGV[11]
end
if #live > 0 and #fields > 0 then
  fields[#fields + 1] = 'p'
  fields[#fields + 1] = withOperation(operation, #live)
  redis.call('HSET', user, unpack(fields))
  for _, sid in ipairs(live) do
    announce('changed', userKey .. sid, nil, userId)
  end
end
return announced({ 'updated', #live })
