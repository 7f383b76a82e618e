-- Goes on, or ends, being the one who goes through Stripe's list of events.
-- KEYS: reconcile. ARGV: holder, ms that it holds from now, how far the run came, being complete (s; "": it goes on).
-- 1: done. 0: it is not the holder any more.
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then
    return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[3] == '' then
    redis.call('HSET', KEYS[1], 'until', string.format('%d', now + ARGV[2]))
    return 1
end
local through = math.max(tonumber(ARGV[3]), tonumber(redis.call('HGET', KEYS[1], 'through') or 0))
redis.call('HSET', KEYS[1], 'through', string.format('%d', through), 'at', string.format('%d', now))
redis.call('HDEL', KEYS[1], 'holder', 'until')
return 1
