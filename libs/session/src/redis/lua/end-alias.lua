-- Replaces an alias by the mark of an ended one, which keeps its session id so that the end can be repeated.
-- Atomic because a concurrent writer must either have changed the alias before, so that this reply shows it, or fail. Safe to
-- repeat, and harmless when late: the id is never used again.
-- Begins with a delete, so that it works when Redis is out of memory.
-- KEYS[1] alias
-- ARGV[1] ms for which to keep the mark
-- Returns {'stands', the old content}.
local stood = redis.call('GET', KEYS[1]) or ''
local sessionId = #stood == 33 and string.sub(stood, 2) or #stood == 32 and stood or ''
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], '-' .. sessionId, 'PX', ARGV[1])
return { 'stands', stood }
