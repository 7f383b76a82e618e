-- A worker ends: whatever is still pending for it may be taken by another at once. It has begun on none of it, so it has no
-- turns but those that were handed to these events, and they keep them.
-- uses: clock
-- KEYS: events, retry. ARGV: group, consumer, count.
-- How many were handed back; when fewer than count, the consumer is gone too.
local now = whole(now_ms())
local pending = redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', ARGV[3], ARGV[2])
for _, entry in ipairs(pending) do
    redis.call('ZADD', KEYS[2], now, entry[1])
    redis.call('XACK', KEYS[1], ARGV[1], entry[1])
end
if #pending < tonumber(ARGV[3]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
end
return #pending
