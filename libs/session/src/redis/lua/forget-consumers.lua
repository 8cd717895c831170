-- Removes consumers of a group that have been idle for long, and one that leaves. Atomic because removing a consumer also removes
-- its pending entries: only consumers without any are removed.
-- KEYS[1] the stream
-- ARGV[1] group
-- ARGV[2] ms without a read after which a consumer is removed
-- ARGV[3] name of the consumer that leaves, or ''
-- Returns the number removed.
local removed = 0
local listed = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])
if listed.err then
  return 0
end
for _, fields in ipairs(listed) do
  local consumer = {}
  for index = 1, #fields, 2 do
    consumer[fields[index]] = fields[index + 1]
  end
  if consumer.pending == 0 and (consumer.idle > tonumber(ARGV[2]) or consumer.name == ARGV[3]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer.name)
    removed = removed + 1
  end
end
return removed
