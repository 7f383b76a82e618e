-- Takes events whose retry is due: out of the schedule and into this consumer's pending list.
-- uses: clock
-- KEYS: events, retry, attempts, held. ARGV: group, consumer, count.
-- { ms until the next is due (-1: none), entry ... }; an entry is { id, { field, value ... } }.
local now = now_ms()
local result = { -1 }
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, ARGV[3])) do
    -- A group that was made anew has delivered it again meanwhile: it is in process, and not to be taken from its owner.
    local pending = #redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1) == 1
    local claimed = pending and {} or redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, id, 'FORCE', 'RETRYCOUNT', 1)
    redis.call('ZREM', KEYS[2], id)
    redis.call('ZREM', KEYS[4], id)
    if claimed[1] and claimed[1][2] then
        result[#result + 1] = claimed[1]
    elseif not pending then -- somebody deleted the entry from the stream: nothing is left to try
        redis.call('XACK', KEYS[1], ARGV[1], id)
        redis.call('HDEL', KEYS[3], id)
    end
end
local soonest = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
if soonest[2] then
    result[1] = math.max(0, math.ceil(soonest[2] - now))
end
return result
