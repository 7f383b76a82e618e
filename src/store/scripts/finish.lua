-- The event has reached its outcome.
-- uses: clock turn
-- KEYS: events, retry, attempts, turn:SESSION, waiting:SESSION, seen:EVENT, effects:EVENT, mail:EVENT, outcomes.
-- ARGV: group, consumer, id, ms to keep what is known of it, event, type, session, user, status, outcome, effects, received_ms,
-- skipped.
-- 0: this consumer does not own the event any more. 1: done. 2: done, and the turn was handed on to an event that is due now.
if not owns(KEYS[1], ARGV[1], ARGV[2], ARGV[3]) then
    return 0
end
local now = now_ms()
local outcome = { 'event', ARGV[5], 'type', ARGV[6], 'session', ARGV[7], 'user', ARGV[8], 'status', ARGV[9],
    'outcome', ARGV[10], 'effects', ARGV[11], 'received_ms', ARGV[12], 'at_ms', whole(now) }
if ARGV[13] ~= '' then
    outcome[#outcome + 1] = 'skipped'
    outcome[#outcome + 1] = ARGV[13]
end
redis.call('XADD', KEYS[9], '*', unpack(outcome))
redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
redis.call('HDEL', KEYS[3], ARGV[3])
redis.call('PEXPIRE', KEYS[7], ARGV[4])
redis.call('DEL', KEYS[8])
mark_finished(KEYS[6], ARGV[3], now, ARGV[4])
return 1 + hand_on(ARGV[3], KEYS[4], KEYS[5], KEYS[2], now)
