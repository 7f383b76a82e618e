-- A sign of life: resets the idle time of the events that this consumer still owns, and of the turns that they have.
-- uses: turn
-- KEYS: events, turn:SESSION of each event. ARGV: group, consumer, id of each event.
-- { the ids that it does not own any more ... }
local lost = {}
for i = 2, #KEYS do
    local id = ARGV[i + 1]
    if owns(KEYS[1], ARGV[1], ARGV[2], id) then
        redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, id, 'JUSTID')
        if redis.call('GET', KEYS[i]) == id .. ' ' .. ARGV[2] then
            redis.call('PEXPIRE', KEYS[i], KEEP)
        end
    else
        lost[#lost + 1] = id
    end
end
return lost
