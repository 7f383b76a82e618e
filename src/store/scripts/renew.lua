-- A sign of life: resets the idle time of the events that this consumer still owns, and of the turns that they have.
-- uses: pulse turn
-- KEYS: events, pulse, turn:SESSION of each event. ARGV: group, consumer, ms that make a worker silent, id of each event.
-- { the ids that it does not own any more ... }
local lost = {}
beat(KEYS[2], ARGV[3])
for i = 3, #KEYS do
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
