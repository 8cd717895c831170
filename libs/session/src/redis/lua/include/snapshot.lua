-- include: clock.lua
-- What a reader needs of one session, in the order of `snapshotFields` in user-record.ts.
local function snapshot(sid)
  return redis.call('HMGET', user, 'u', 'e', 'o', 'x', 't', 'r' .. sid, 'c' .. sid, 'j', 'k' .. sid)
end

-- The reply with a snapshot appended.
local function withSnapshot(head, sid)
  for _, value in ipairs(snapshot(sid)) do
    head[#head + 1] = value
  end
  return head
end
