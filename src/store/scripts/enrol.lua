-- A session was created for a user.
-- uses: clock
-- KEYS: user:HASH. ARGV: session, ms to keep.
-- 1
local now = whole(now_ms())
if redis.call('HGET', KEYS[1], 'session') ~= ARGV[1] then -- else it is only told again
    redis.call('HSET', KEYS[1], 'session', ARGV[1], 'status', 'requires_input', 'reason', '', 'event', '', 'at', now)
    redis.call('HSETNX', KEYS[1], 'since', now)
    redis.call('HINCRBY', KEYS[1], 'sessions', 1)
end
redis.call('HDEL', KEYS[1], 'key', 'until')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
