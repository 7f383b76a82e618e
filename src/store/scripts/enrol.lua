-- A session was created for a user.
-- KEYS: user:HASH. ARGV: session, ms to keep.
-- 1
local time = redis.call('TIME')
local now = string.format('%d', time[1] * 1000 + math.floor(time[2] / 1000))
if redis.call('HGET', KEYS[1], 'session') ~= ARGV[1] then -- else it is only told again
    redis.call('HSET', KEYS[1], 'session', ARGV[1], 'status', 'requires_input', 'reason', '', 'event', '', 'at', now)
    redis.call('HSETNX', KEYS[1], 'since', now)
    redis.call('HINCRBY', KEYS[1], 'sessions', 1)
end
redis.call('HDEL', KEYS[1], 'key', 'until')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
