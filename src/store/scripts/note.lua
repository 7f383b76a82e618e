-- How a user's session stands.
-- KEYS: user:HASH. ARGV: session, status, reason, event, at ms, ms to keep.
-- 1: noted. 0: it is not this user's session, or nothing new.
local known = redis.call('HMGET', KEYS[1], 'session', 'status', 'event', 'at')
if known[1] ~= ARGV[1] or known[2] == 'verified' or tonumber(known[4] or 0) > tonumber(ARGV[5]) or
    (ARGV[4] ~= '' and known[3] == ARGV[4] and ARGV[2] == 'requires_input') then
    return 0
end
if ARGV[4] ~= '' then
    redis.call('HSET', KEYS[1], 'event', ARGV[4])
    if ARGV[2] == 'requires_input' and ARGV[3] ~= '' then
        redis.call('HSETNX', KEYS[1], 'since', ARGV[5])
        redis.call('HINCRBY', KEYS[1], 'failures', 1)
    end
end
redis.call('HSET', KEYS[1], 'status', ARGV[2], 'reason', ARGV[3], 'at', ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[6])
return 1
