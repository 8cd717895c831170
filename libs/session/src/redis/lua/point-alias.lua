-- Points an alias at a session if its content is as expected. Atomic because condition and write are one: an alias that has
-- ended must not name a session again. Safe to repeat: an alias that already points there stays.
-- KEYS[1] alias
-- ARGV[1] instant after which nothing must change, epoch ms
-- ARGV[2] expected session id, or '' for none
-- ARGV[3] session id to point at
-- ARGV[4] ms for which to keep it
-- Returns {'late'}, or {'stands', the content afterwards}.
local time = redis.call('TIME')
if tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) > tonumber(ARGV[1]) then
  return { 'late' }
end
local stands = redis.call('GET', KEYS[1]) or ''
if stands ~= ARGV[2] and stands ~= ARGV[3] then
  return { 'stands', stands }
end
local lifetime = tonumber(ARGV[4])
if stands == ARGV[3] then
  lifetime = math.max(lifetime, redis.call('PTTL', KEYS[1]))
end
redis.call('SET', KEYS[1], ARGV[3], 'PX', string.format('%.0f', lifetime))
return { 'stands', ARGV[3] }
