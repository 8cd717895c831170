-- Announces what a process found out by itself and no script saw. A script so that consumers and listeners are told by the
-- same rules as of everything else. Changes nothing; sent twice, other instances are told twice.
-- KEYS, ARGV[1..5]: see header.lua. ARGV[6] the event, JSON.
-- Returns {'announced'}, or what header.lua returns.
-- include: ends.lua
messages[1] = '2 ' .. origin .. ' ' .. ARGV[6]
return announced({ 'announced' })
