-- What is known of one event besides its entries in the streams, and where it is.
-- KEYS: seen:EVENT, effects:EVENT, events, retry, attempts, turn:SESSION, waiting:SESSION, held. ARGV: group, id of its entry ("": none).
-- { now ms, mark, { ledger field, value ... }, ms at which it is due ("": it is not scheduled), failed tries,
--   { consumer, ms idle, deliveries } or {}, 1: the group has been given it, who has the turn, how many wait before it (-1: it does not wait),
--   1: it waits for a paused effect }
local time = redis.call('TIME')
local id = ARGV[2]
local result = { time[1] * 1000 + math.floor(time[2] / 1000), redis.call('GET', KEYS[1]) or '', redis.call('HGETALL', KEYS[2]),
    '', 0, {}, 0, '', -1, 0 }
if id == '' then
    return result
end
result[4] = redis.call('ZSCORE', KEYS[4], id) or ''
result[5] = tonumber(redis.call('HGET', KEYS[5], id) or 0)
result[8] = redis.call('GET', KEYS[6]) or ''
result[9] = redis.call('ZRANK', KEYS[7], id) or -1
result[10] = redis.call('ZSCORE', KEYS[8], id) and 1 or 0

-- Whether stream id a comes before b.
local function before(a, b)
    local a_ms, a_number = string.match(a, '^(%d+)-(%d+)$')
    local b_ms, b_number = string.match(b, '^(%d+)-(%d+)$')
    if a_ms == b_ms then
        return tonumber(a_number) < tonumber(b_number)
    end
    return tonumber(a_ms) < tonumber(b_ms)
end

local groups = redis.call('EXISTS', KEYS[3]) == 1 and redis.call('XINFO', 'GROUPS', KEYS[3]) or {}
for _, group in ipairs(groups) do
    local info = {}
    for i = 1, #group, 2 do
        info[group[i]] = group[i + 1]
    end
    if info.name == ARGV[1] then
        local pending = redis.call('XPENDING', KEYS[3], ARGV[1], id, id, 1)[1]
        result[6] = pending and { pending[2], pending[3], pending[4] } or {}
        result[7] = before(info['last-delivered-id'], id) and 0 or 1
    end
end
return result
