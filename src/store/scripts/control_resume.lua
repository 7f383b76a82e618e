-- Ends a pause, and makes events that were held due at once, a batch at a time.
-- uses: acts clock
-- KEYS: control, acts, held, retry. ARGV: what, by, reason, ms to keep acts, how many.
-- { 1: it is resumed now, 0: it was not paused; how many were due for it: as many as asked for may leave more }
local now = now_ms()
local changed = redis.call('HDEL', KEYS[1], ARGV[1])
if changed == 1 then
    write_down(KEYS[2], tonumber(ARGV[4]), now, { act = 'resume', what = ARGV[1], by = ARGV[2], reason = ARGV[3] }, {})
end
local held = redis.call('ZPOPMIN', KEYS[3], ARGV[5])
for i = 1, #held, 2 do
    redis.call('ZADD', KEYS[4], 'XX', whole(now), held[i]) -- one that is not scheduled any more goes its own way
end
return { changed, #held / 2 }
