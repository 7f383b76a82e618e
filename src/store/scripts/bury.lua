-- Moves an event to the dead letters, whole, with the reason. Its ledger stays as long as it does.
-- uses: clock turn
-- KEYS: events, retry, attempts, turn:SESSION, waiting:SESSION, seen:EVENT, effects:EVENT, mail:EVENT, outcomes, dead.
-- ARGV: group, consumer, id, ms to keep its mark, event, type, session, user, status, outcome, effects, reason, error, attempts,
-- skipped.
-- 0: this consumer does not own the event any more. 1: done. 2: done, and the turn was handed on to an event that is due now.
if not owns(KEYS[1], ARGV[1], ARGV[2], ARGV[3]) then
    return 0
end
local now = now_ms()
local entry = redis.call('XRANGE', KEYS[1], ARGV[3], ARGV[3])[1]
local fields = entry and entry[2] or { 'event', ARGV[5], 'type', ARGV[6], 'session', ARGV[7] }
for _, text in ipairs({ 'reason', ARGV[12], 'error', ARGV[13], 'attempts', ARGV[14], 'failed_ms', whole(now) }) do
    fields[#fields + 1] = text
end
redis.call('XADD', KEYS[10], '*', unpack(fields))
local outcome = { 'event', ARGV[5], 'type', ARGV[6], 'session', ARGV[7], 'user', ARGV[8], 'status', ARGV[9],
    'outcome', ARGV[10], 'effects', ARGV[11], 'at_ms', whole(now) }
if ARGV[15] ~= '' then
    outcome[#outcome + 1] = 'skipped'
    outcome[#outcome + 1] = ARGV[15]
end
redis.call('XADD', KEYS[9], '*', unpack(outcome))
redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
redis.call('HDEL', KEYS[3], ARGV[3])
note_try(KEYS[7], now, ARGV[12], ARGV[13])
redis.call('PERSIST', KEYS[7])
redis.call('DEL', KEYS[8])
mark_finished(KEYS[6], ARGV[3], now, ARGV[4])
return 1 + hand_on(ARGV[3], KEYS[4], KEYS[5], KEYS[2], now)
