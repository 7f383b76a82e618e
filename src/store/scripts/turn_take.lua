-- Takes a session's turn for somebody who is no event, or keeps it: meanwhile no event of the session is begun.
-- uses: clock turn
-- KEYS: events, retry, turn:SESSION. ARGV: group, who, ms after which a silent owner loses its events.
-- 1: it is ours. 0: an event of the session is in process.
local value = redis.call('GET', KEYS[3]) or ''
local mine = NOBODY .. ' ' .. ARGV[2]
local holder, owner = string.match(value, '^(%S*) ?(.*)$')
if value ~= mine and holder ~= '' and
    (is_alive(KEYS[3], owner, tonumber(ARGV[3])) or is_coming(KEYS[1], KEYS[2], ARGV[1], holder, now_ms())) then
    return 0
end
redis.call('SET', KEYS[3], mine, 'PX', KEEP)
return 1
