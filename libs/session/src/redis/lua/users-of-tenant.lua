-- Finds the users of one tenant among the users of a bucket. A script, because asking for each user takes the caller several times
-- as long. Changes nothing. Need not be atomic: a user never moves to another tenant.
-- KEYS hashes of users, in one slot
-- ARGV[1] the tenant, '' for none
-- Returns the positions in KEYS, from 1, of its users. A key that holds another type belongs to no tenant.
local own = {}
for index, user in ipairs(KEYS) do
  local found = redis.pcall('HGET', user, 'n')
  if type(found) ~= 'table' and (found or '') == ARGV[1] then
    own[#own + 1] = index
  end
end
return own
