-- Announces what a process found out by itself and no script saw. Atomic only in that consumers and listeners are told
-- together. A repeat is told twice: listeners of `remote` events are few and must bear it.
-- KEYS, ARGV[1..5]: see header.lua. ARGV[6] the event, JSON.
-- Returns {'announced'}, or what header.lua returns.
-- include: ends.lua
messages[1] = '2 ' .. origin .. ' ' .. ARGV[6]
return announced({ 'announced' })
