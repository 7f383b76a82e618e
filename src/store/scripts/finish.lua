-- The event has reached its outcome.
-- KEYS: events, outcomes, attempts. ARGV: group, consumer, id, event, type, session, user, status, outcome, effects.
-- 1: done. 0: this consumer does not own the event any more.
if #redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1, ARGV[2]) == 0 then
    return 0
end
local time = redis.call('TIME')
redis.call('XADD', KEYS[2], '*', 'event', ARGV[4], 'type', ARGV[5], 'session', ARGV[6], 'user', ARGV[7], 'status', ARGV[8],
    'outcome', ARGV[9], 'effects', ARGV[10], 'at_ms', string.format('%d', time[1] * 1000 + math.floor(time[2] / 1000)))
redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
redis.call('HDEL', KEYS[3], ARGV[3])
return 1
