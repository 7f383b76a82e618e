-- Takes over events whose owner has given no sign of life, and forgets consumers that are long gone.
-- KEYS: events, attempts. ARGV: group, consumer, idle ms, count, idle ms after which an empty consumer is forgotten.
-- { entry ... }
local result = {}
for _, pending in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1], 'IDLE', ARGV[3], '-', '+', ARGV[4])) do
    local claimed = redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], ARGV[3], pending[1])
    if claimed[1] and claimed[1][2] then
        result[#result + 1] = claimed[1]
    else -- somebody deleted the entry from the stream
        redis.call('XACK', KEYS[1], ARGV[1], pending[1])
        redis.call('HDEL', KEYS[2], pending[1])
    end
end
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
    local info = {}
    for i = 1, #consumer, 2 do
        info[consumer[i]] = consumer[i + 1]
    end
    -- Deleting a consumer drops what is pending for it, so only empty ones.
    if info.pending == 0 and info.idle > tonumber(ARGV[5]) then
        redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], info.name)
    end
end
return result
