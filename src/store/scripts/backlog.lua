-- What is waiting where.
-- uses: clock fields
-- KEYS: events, retry, dead, attempts, held, control. ARGV: how many of the schedule to look at, consumers of each group to tell.
-- { now ms, stream length, scheduled, ms until the next is due (-1: none), dead, due now, held, of those looked at: wait for a turn,
--   { field, value ... } of control, { group ... } }; a group is
-- { name, consumers, pending, oldest pending id, unread (-1: unknown), oldest unread id, { consumer, pending, ms idle } ... }
local now = now_ms()

-- Without a failed try, not handed back (that is due at once) and not held: it waits for its session's turn.
local function count_waiting()
    local scheduled = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. now, '+inf', 'LIMIT', 0, ARGV[1])
    local count = 0
    for _, id in ipairs(scheduled) do
        if redis.call('HEXISTS', KEYS[4], id) == 0 and not redis.call('ZSCORE', KEYS[5], id) then
            count = count + 1
        end
    end
    return count
end

local function describe(group)
    local info = fields_of(group)
    local pending = redis.call('XPENDING', KEYS[1], info.name)
    local unread = redis.call('XRANGE', KEYS[1], '(' .. info['last-delivered-id'], '+', 'COUNT', 1)
    local count = type(info.lag) == 'number' and info.lag or (#unread == 0 and 0 or -1)
    local told = { info.name, info.consumers, info.pending, pending[2] or '', count, unread[1] and unread[1][1] or '' }
    for number, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], info.name)) do
        if number > tonumber(ARGV[2]) then
            break
        end
        local member = fields_of(consumer)
        told[#told + 1] = { member.name, member.pending, member.idle }
    end
    return told
end

local soonest = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
local groups = {}
for _, group in ipairs(redis.call('EXISTS', KEYS[1]) == 1 and redis.call('XINFO', 'GROUPS', KEYS[1]) or {}) do
    groups[#groups + 1] = describe(group)
end
return { now, redis.call('XLEN', KEYS[1]), redis.call('ZCARD', KEYS[2]),
    soonest[2] and math.max(0, math.ceil(soonest[2] - now)) or -1, redis.call('XLEN', KEYS[3]),
    redis.call('ZCOUNT', KEYS[2], '-inf', now), redis.call('ZCARD', KEYS[5]), count_waiting(),
    redis.call('HGETALL', KEYS[6]), groups }
