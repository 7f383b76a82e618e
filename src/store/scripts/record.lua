-- Writes an effect's end into the ledger.
-- KEYS: events, effects:EVENT. ARGV: group, consumer, id, field, value ("": the server's time in ms), ms to keep.
-- 1: written. 0: this consumer does not own the event any more, but what is done is done, so a success is written all the same.
local owned = #redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1, ARGV[2]) == 1
local value = ARGV[5]
if value == '' then
    local time = redis.call('TIME')
    value = string.format('%d', time[1] * 1000 + math.floor(time[2] / 1000))
elseif not owned then
    return 0
end
redis.call('HSET', KEYS[2], ARGV[4], value)
redis.call('PEXPIRE', KEYS[2], ARGV[6])
return owned and 1 or 0
