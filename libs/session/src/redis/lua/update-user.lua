-- Sets email or roles for all live sessions of a user. Atomic because the sessions read them from one place.
-- Safe to repeat: a number more, the same values. Writes nothing for a user without live sessions.
-- KEYS, ARGV[1..5]: see header.lua.
-- ARGV[6] user key; [7] user id; [8] '1' with an email; [9] email; [10] '1' with roles; [11] roles as JSON.
-- Returns {'updated', live sessions}, or what header.lua returns.
-- include: ends.lua
local userKey = ARGV[6]
local stored = redis.call('HMGET', user, 'u', 'e', 'o')
if stored[1] ~= ARGV[7] then
  return { 'updated', 0 }
end
local live = {}
for sid, clock in pairs(readClocks((scan()))) do
  if not expiryOf(clock) then
    live[#live + 1] = sid
  end
end
if #live == 0 then
  return { 'updated', 0 }
end
local seq = 0
for index = 2, 3 do
  seq = math.max(seq, stored[index] and tonumber(string.match(stored[index], '^(%d+):')) or 0)
end
local prefix = integer(seq + 1) .. ':'
local fields = {}
if ARGV[8] == '1' then
  fields[#fields + 1] = 'e'
  fields[#fields + 1] = prefix .. ARGV[9]
end
if ARGV[10] == '1' then
  fields[#fields + 1] = 'o'
  fields[#fields + 1] = prefix .. ARGV[11]
end
if #fields > 0 then
  redis.call('HSET', user, unpack(fields))
  for _, sid in ipairs(live) do
    announce('changed', userKey .. sid, nil, ARGV[7])
  end
  publish()
end
return { 'updated', #live }
