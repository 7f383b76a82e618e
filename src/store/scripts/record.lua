-- Writes an effect's end into the ledger.
-- uses: clock
-- KEYS: events, effects:EVENT. ARGV: group, consumer, id, field, value ("": the server's time in ms), ms to keep it while the
-- event is in work, and after that.
-- 1: written. 0: this consumer does not own the event any more, but what is done is done, so a success is written all the same; how
-- long the ledger is kept is the new owner's affair.
local owned = #redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1, ARGV[2]) == 1
local value = ARGV[5]
if value == '' then
    value = whole(now_ms())
elseif not owned then
    return 0
end
local left = redis.call('PTTL', KEYS[2])
redis.call('HSET', KEYS[2], ARGV[4], value)
if owned then
    redis.call('PEXPIRE', KEYS[2], ARGV[6])
elseif left == -2 then -- there was none
    redis.call('PEXPIRE', KEYS[2], ARGV[7])
end
return owned and 1 or 0
