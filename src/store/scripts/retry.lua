-- Puts an event into the retry schedule.
-- uses: clock turn
-- KEYS: events, retry, attempts, turn:SESSION, waiting:SESSION, seen:EVENT, effects:EVENT.
-- ARGV: group, consumer, id, delay ms, failed tries to add (0 for a hand-back), ms to keep the ledger, reason, error.
-- 0: this consumer does not own the event any more. 1: done. 2: done, and the turn was handed on to an event that is due now.
if not owns(KEYS[1], ARGV[1], ARGV[2], ARGV[3]) then
    return 0
end
local now = now_ms()
redis.call('ZADD', KEYS[2], whole(now + ARGV[4]), ARGV[3])
if ARGV[5] ~= '0' then
    redis.call('HINCRBY', KEYS[3], ARGV[3], ARGV[5])
    note_try(KEYS[7], now, ARGV[7], ARGV[8])
    redis.call('PEXPIRE', KEYS[7], ARGV[6])
end
redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
return 1 + hand_on(ARGV[3], KEYS[4], KEYS[5], KEYS[2], now)
