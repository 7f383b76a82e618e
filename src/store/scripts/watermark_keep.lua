-- Goes on, or ends, being the one who goes through Stripe's list of events.
-- uses: clock
-- KEYS: reconcile. ARGV: holder, ms that it holds from now, how far the run came, being complete (s; "": it goes on).
-- 1: done. 0: it is not the holder any more.
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then
    return 0
end
local now = now_ms()
if ARGV[3] == '' then
    redis.call('HSET', KEYS[1], 'until', whole(now + ARGV[2]))
    return 1
end
local through = math.max(tonumber(ARGV[3]), tonumber(redis.call('HGET', KEYS[1], 'through') or 0))
redis.call('HSET', KEYS[1], 'through', whole(through), 'at', whole(now))
redis.call('HDEL', KEYS[1], 'holder', 'until')
return 1
