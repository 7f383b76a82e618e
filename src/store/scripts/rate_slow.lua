-- Stripe has said that the fleet is too fast: for a minute it is half as fast, and half of that when it is said again.
-- KEYS: rate:MODE, slow:MODE. ARGV: ms for which there are no moments at all.
-- How many times slower than usual it is.
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local slower = tonumber(redis.call('GET', KEYS[2]) or 1)
local window = 60000
-- What was under way at the same time is answered the same: a second is heard as one word.
if redis.call('PTTL', KEYS[2]) < window - 1000 then
    slower = math.min(slower * 2, 16)
    redis.call('SET', KEYS[2], slower, 'PX', window)
end
local due = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now + ARGV[1])
redis.call('SET', KEYS[1], string.format('%.3f', due), 'PX', math.ceil(due - now) + 60000)
return slower
