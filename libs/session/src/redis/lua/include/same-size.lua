-- include: header.lua
-- When out of memory, Redis refuses a script's first write if it may add data, but no write after a delete. A script that
-- replaces a value by one of the same size starts with this empty delete, so that it still works.
local function allowSameSize()
  redis.call('ZREM', expiries, '')
end
