-- Email and roles set for all sessions of a user, each stored as `number:value`.
local function seqOf(profile)
  return profile and tonumber(string.match(profile, '^(%d+):')) or 0
end

-- The number of the latest change to either.
local function profileSeq()
  local stored = redis.call('HMGET', user, 'e', 'o')
  return math.max(seqOf(stored[1]), seqOf(stored[2]))
end
