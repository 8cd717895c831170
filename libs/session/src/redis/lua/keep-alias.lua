-- Extends an alias that names the session. Atomic because it must not extend the mark of an ended one.
-- Safe to repeat, and harmless when late.
-- KEYS[1] alias
-- ARGV[1] session id
-- ARGV[2] ms for which to keep it
-- Returns {'stands', the content}.
local stands = redis.call('GET', KEYS[1]) or ''
if stands == ARGV[1] and redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return { 'stands', stands }
