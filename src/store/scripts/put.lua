-- Takes an event in: once, and with its mark.
-- KEYS: seen:EVENT, events. ARGV: window ms, event, type, session, account, livemode, created, api_version, received_ms, payload.
-- 1: queued. 0: it was there before.
-- The mark is set and asked for in one command. Should the entry be refused then (there is no stream at its key), the mark goes
-- again: an event must never be marked without being queued.
if not redis.call('SET', KEYS[1], ARGV[9], 'NX', 'PX', ARGV[1]) then
    return 0
end
local entry = redis.pcall('XADD', KEYS[2], '*', 'event', ARGV[2], 'type', ARGV[3], 'session', ARGV[4], 'account', ARGV[5],
    'livemode', ARGV[6], 'created', ARGV[7], 'api_version', ARGV[8], 'received_ms', ARGV[9], 'payload', ARGV[10])
if type(entry) == 'table' then -- an error
    redis.call('DEL', KEYS[1])
    return entry
end
return 1
