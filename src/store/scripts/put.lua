-- Takes an event in: once, and with its mark.
-- KEYS: seen:EVENT, events. ARGV: window ms, event, type, session, account, livemode, created, api_version, received_ms, payload.
-- 1: queued. 0: it was there before.
-- The entry comes first: if Redis fails in between, the event is queued without a mark, which a ledger can mend, and never
-- marked without being queued, which nothing could.
if redis.call('EXISTS', KEYS[1]) == 1 then
    return 0
end
local id = redis.call('XADD', KEYS[2], '*', 'event', ARGV[2], 'type', ARGV[3], 'session', ARGV[4], 'account', ARGV[5],
    'livemode', ARGV[6], 'created', ARGV[7], 'api_version', ARGV[8], 'received_ms', ARGV[9], 'payload', ARGV[10])
redis.call('SET', KEYS[1], id, 'PX', ARGV[1])
return 1
