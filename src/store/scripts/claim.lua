-- Takes over events whose owner has given no sign of life.
-- uses: pulse
-- KEYS: events, attempts, pulse. ARGV: group, consumer, idle ms, count, ms that make a worker silent.
-- { entry ... }
local result = {}
if not beat(KEYS[3], ARGV[5]) then
    return result
end
for _, pending in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1], 'IDLE', ARGV[3], '-', '+', ARGV[4])) do
    local claimed = redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], ARGV[3], pending[1])
    if claimed[1] and claimed[1][2] then
        result[#result + 1] = claimed[1]
    else -- somebody deleted the entry from the stream
        redis.call('XACK', KEYS[1], ARGV[1], pending[1])
        redis.call('HDEL', KEYS[2], pending[1])
    end
end
return result
