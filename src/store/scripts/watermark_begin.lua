-- Begins to go through Stripe's list of events, unless another process is at it or it was done lately.
-- uses: clock
-- KEYS: reconcile. ARGV: holder, ms that it holds, ms since the last complete run within which none is due.
-- { 1: it is ours, or 0, ms to wait then, how far the last complete run came (s; -1: there is none) }.
local now = now_ms()
local held = redis.call('HMGET', KEYS[1], 'holder', 'until', 'at', 'through')
local through = tonumber(held[4] or -1)
if held[1] and held[1] ~= ARGV[1] and tonumber(held[2]) > now then
    return { 0, tonumber(held[2]) - now, through }
end
if held[3] and tonumber(held[3]) + tonumber(ARGV[3]) > now then
    return { 0, tonumber(held[3]) + tonumber(ARGV[3]) - now, through }
end
redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'until', whole(now + ARGV[2]))
return { 1, 0, through }
