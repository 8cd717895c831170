-- Publishes an event that no other script causes. A script, so that the rules for consumers and listeners are the same as for
-- other events. Changes nothing. Not safe to repeat: a resent event is published twice.
-- KEYS, ARGV[1..5]: see header.lua.
-- ARGV[6] the event, JSON
-- Returns {'announced'}, or what header.lua returns.
-- include: ends.lua
messages[1] = '2 ' .. origin .. ' ' .. ARGV[6]
return announced({ 'announced' })
