-- Puts an event that waits for a paused effect into the schedule; it counts as no try.
-- uses: clock turn
-- KEYS: events, retry, attempts, turn:SESSION, waiting:SESSION, seen:EVENT, effects:EVENT, control, held.
-- ARGV: group, consumer, id, ms to hold it at most, effect.
-- 0: this consumer does not own the event any more. 1: done. 2: done, and the turn was handed on to an event that is due now.
if not owns(KEYS[1], ARGV[1], ARGV[2], ARGV[3]) then
    return 0
end
local now = now_ms()
if redis.call('HEXISTS', KEYS[8], ARGV[5]) == 1 then
    redis.call('ZADD', KEYS[2], whole(now + ARGV[4]), ARGV[3])
    redis.call('ZADD', KEYS[9], whole(now), ARGV[3])
    redis.call('PEXPIRE', KEYS[9], KEEP)
else -- it was resumed meanwhile: the worker will hear of that within a second
    redis.call('ZADD', KEYS[2], whole(now + 1000), ARGV[3])
end
redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
return 1 + hand_on(ARGV[3], KEYS[4], KEYS[5], KEYS[2], now)
