-- A sign of life: resets the idle time of the events that this consumer still owns.
-- KEYS: events. ARGV: group, consumer, id ...
-- { the ids that it does not own any more ... }
local lost = {}
for i = 3, #ARGV do
    if #redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1, ARGV[2]) == 1 then
        redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[i], 'JUSTID')
    else
        lost[#lost + 1] = ARGV[i]
    end
end
return lost
