-- What is known of one event besides its entries in the streams, and where it is.
-- uses: clock fields ids
-- KEYS: seen:EVENT, effects:EVENT, events, retry, attempts, turn:SESSION, waiting:SESSION, held. ARGV: group, id of its entry ("": none).
-- { now ms, mark, { ledger field, value ... }, ms at which it is due ("": it is not scheduled), failed tries,
--   { consumer, ms idle, deliveries } or {}, 1: the group has been given it, who has the turn, how many wait before it (-1: it does not wait),
--   1: it waits for a paused effect }
local id = ARGV[2]
local result = { now_ms(), redis.call('GET', KEYS[1]) or '', redis.call('HGETALL', KEYS[2]),
    '', 0, {}, 0, '', -1, 0 }
if id == '' then
    return result
end
result[4] = redis.call('ZSCORE', KEYS[4], id) or ''
result[5] = tonumber(redis.call('HGET', KEYS[5], id) or 0)
result[8] = redis.call('GET', KEYS[6]) or ''
result[9] = redis.call('ZRANK', KEYS[7], id) or -1
result[10] = redis.call('ZSCORE', KEYS[8], id) and 1 or 0

local groups = redis.call('EXISTS', KEYS[3]) == 1 and redis.call('XINFO', 'GROUPS', KEYS[3]) or {}
for _, group in ipairs(groups) do
    local info = fields_of(group)
    if info.name == ARGV[1] then
        local pending = redis.call('XPENDING', KEYS[3], ARGV[1], id, id, 1)[1]
        result[6] = pending and { pending[2], pending[3], pending[4] } or {}
        result[7] = is_before(info['last-delivered-id'], id) and 0 or 1
    end
end
return result
