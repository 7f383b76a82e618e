-- Moves an event to the dead letters, whole, with the reason.
-- KEYS: events, outcomes, attempts, dead. ARGV: group, consumer, id, event, type, session, user, status, outcome, effects,
-- reason, error, attempts.
-- 1: done. 0: this consumer does not own the event any more.
if #redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1, ARGV[2]) == 0 then
    return 0
end
local time = redis.call('TIME')
local now = string.format('%d', time[1] * 1000 + math.floor(time[2] / 1000))
local entry = redis.call('XRANGE', KEYS[1], ARGV[3], ARGV[3])[1]
local fields = entry and entry[2] or { 'event', ARGV[4], 'type', ARGV[5], 'session', ARGV[6] }
for _, text in ipairs({ 'reason', ARGV[11], 'error', ARGV[12], 'attempts', ARGV[13], 'failed_ms', now }) do
    fields[#fields + 1] = text
end
redis.call('XADD', KEYS[4], '*', unpack(fields))
redis.call('XADD', KEYS[2], '*', 'event', ARGV[4], 'type', ARGV[5], 'session', ARGV[6], 'user', ARGV[7], 'status', ARGV[8],
    'outcome', ARGV[9], 'effects', ARGV[10], 'at_ms', now)
redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
redis.call('HDEL', KEYS[3], ARGV[3])
return 1
