-- Keeps an alias for longer where it names the session. Atomic because it must not lengthen the mark of an ended one.
-- Safe to repeat, and harmless when late.
-- KEYS[1] alias. ARGV[1] session id; [2] ms for which to keep it.
-- Returns {'stands', what stands}.
local stands = redis.call('GET', KEYS[1]) or ''
if stands == ARGV[1] and redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return { 'stands', stands }
