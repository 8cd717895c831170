-- Removes consumers of a group that are gone: those who asked for nothing for long, and one that says goodbye. Atomic because
-- with a consumer its pending entries would go: none is removed that has any.
-- KEYS[1] the stream. ARGV[1] group; [2] ms without a question; [3] name of the one that goes, or ''.
-- Returns how many were removed.
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
