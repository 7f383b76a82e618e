-- Whether a user gets a session, and which.
-- uses: clock fields
-- KEYS: user:HASH. ARGV: attempts, window ms, claim ms, a new idempotency key, ms to keep.
-- { 'verified' } | { 'exhausted', ms } | { 'open', session } | { 'busy' } | { 'create', key, '1' when it was used before }
local now = now_ms()
local record = fields_of(redis.call('HGETALL', KEYS[1]))
if record.status == 'verified' then
    return { 'verified' }
end
local window_end = tonumber(record.since or 0) + ARGV[2]
if window_end <= now then
    redis.call('HDEL', KEYS[1], 'since', 'sessions', 'failures')
    record.sessions, record.failures = 0, 0
end
local attempts = tonumber(ARGV[1])
if tonumber(record.failures or 0) >= attempts then
    return { 'exhausted', window_end - now }
end
if record.session and record.status ~= 'canceled' then
    return { 'open', record.session }
end
if tonumber(record.sessions or 0) >= attempts then
    return { 'exhausted', window_end - now }
end
if tonumber(record['until'] or 0) > now then
    return { 'busy' }
end
local key = record.key or ARGV[4]
redis.call('HSET', KEYS[1], 'key', key, 'until', whole(now + ARGV[3]))
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return { 'create', key, record.key and '1' or '' }
