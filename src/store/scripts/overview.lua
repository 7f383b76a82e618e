-- What happened lately, for the console.
-- uses: clock fields
-- KEYS: outcomes, dead. ARGV: how many outcomes to tell, ms to count over, outcomes to count at most, dead letters to look at at most.
-- { { event, type, session, outcome, effects, received_ms, at_ms } ..., newest first },
-- { done, superseded, dead, 1: there were more }, how many dead letters were looked at, { reason, how many ... }
local latest = {}
for _, entry in ipairs(redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', ARGV[1])) do
    local told = fields_of(entry[2])
    latest[#latest + 1] = { told.event or '', told.type or '', told.session or '', told.outcome or '', told.effects or '',
        told.received_ms or '', told.at_ms or '' }
end

local since = whole(now_ms() - ARGV[2])
local counts = { done = 0, superseded = 0, dead = 0 }
local counted = redis.call('XREVRANGE', KEYS[1], '+', since, 'COUNT', ARGV[3])
for _, entry in ipairs(counted) do
    local outcome = fields_of(entry[2]).outcome
    if counts[outcome] then
        counts[outcome] = counts[outcome] + 1
    end
end

local reasons, order = {}, {}
local letters = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', ARGV[4])
for _, entry in ipairs(letters) do
    local reason = fields_of(entry[2]).reason or ''
    if not reasons[reason] then
        order[#order + 1] = reason
    end
    reasons[reason] = (reasons[reason] or 0) + 1
end
table.sort(order, function(a, b)
    return reasons[a] > reasons[b]
end)
local told = {}
for _, reason in ipairs(order) do
    told[#told + 1] = reason
    told[#told + 1] = reasons[reason]
end
return { latest, { counts.done, counts.superseded, counts.dead, #counted == tonumber(ARGV[3]) and 1 or 0 }, #letters, told }
