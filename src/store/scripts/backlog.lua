-- What is waiting where.
-- KEYS: events, retry, dead. ARGV: -
-- { now ms, stream length, retrying, ms until the next retry (-1: none), dead,
--   { group, consumers, pending, oldest pending id, unread (-1: unknown), oldest unread id } ... }
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local soonest = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
local result = { now, redis.call('XLEN', KEYS[1]), redis.call('ZCARD', KEYS[2]),
    soonest[2] and math.max(0, math.ceil(soonest[2] - now)) or -1, redis.call('XLEN', KEYS[3]) }
local groups = redis.call('EXISTS', KEYS[1]) == 1 and redis.call('XINFO', 'GROUPS', KEYS[1]) or {}
for _, group in ipairs(groups) do
    local info = {}
    for i = 1, #group, 2 do
        info[group[i]] = group[i + 1]
    end
    local pending = redis.call('XPENDING', KEYS[1], info.name)
    local unread = redis.call('XRANGE', KEYS[1], '(' .. info['last-delivered-id'], '+', 'COUNT', 1)
    local count = type(info.lag) == 'number' and info.lag or (#unread == 0 and 0 or -1)
    result[#result + 1] = { info.name, info.consumers, info.pending, pending[2] or '', count, unread[1] and unread[1][1] or '' }
end
return result
