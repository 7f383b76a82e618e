-- Puts an event into the retry schedule.
-- KEYS: events, retry, attempts. ARGV: group, consumer, id, delay ms, failed tries to add (0 for a hand-back).
-- 1: done. 0: this consumer does not own the event any more.
if #redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1, ARGV[2]) == 0 then
    return 0
end
local time = redis.call('TIME')
local due = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[4]
redis.call('ZADD', KEYS[2], string.format('%d', due), ARGV[3])
if ARGV[5] ~= '0' then
    redis.call('HINCRBY', KEYS[3], ARGV[3], ARGV[5])
end
redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
return 1
