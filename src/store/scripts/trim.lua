-- Takes away what has ended: of the events those that every group has acknowledged and that are not to be tried again, of the
-- outcomes the old ones that every group of theirs has acknowledged. One consumer of the fleet does it, in steps.
-- uses: clock fields ids
-- KEYS: events, outcomes, retry, trimmer. ARGV: group, consumer, ms between two runs, ms to keep outcomes, ms after which a group
-- that does not go on is stalled, ms after which a consumer without events is forgotten, where to look further ("-": at the
-- beginning), whether a run begins (0 or 1).
-- { 0, stalled groups }: another one does it. { 1, stalled groups, events taken away, outcomes taken away, whether to look
-- further at once (0 or 1), from where, stream, group, ms, stream, group, ms ... }: the stalled groups, when a run begins.
local PAGE, BATCH, FEW = 50, 1000, 500
local owner, before_stalled = string.match(redis.call('GET', KEYS[4]) or '', '^(%S*) ?(%d*)$')
if owner ~= '' and owner ~= ARGV[2] then
    return { 0, tonumber(before_stalled) or 0 }
end
local now = now_ms()

local function lower(a, b)
    return (a and is_before(a, b)) and a or b
end

local function after(id)
    local first, number = string.match(id, '^(%d+)%-(%d+)$')
    return #number < 15 and first .. '-' .. whole(number + 1) or id
end

-- { { name, last id that was delivered, first id that is not acknowledged } ... }
local function groups_of(stream)
    local groups = {}
    if redis.call('EXISTS', stream) == 0 then
        return groups
    end
    for _, flat in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
        local info = fields_of(flat)
        local last = info['last-delivered-id']
        local pending = redis.call('XPENDING', stream, info.name)[2]
        groups[#groups + 1] = { name = info.name, last = last, floor = lower(pending, after(last)) }
    end
    return groups
end

-- By whole nodes of the stream as long as there are any, which costs next to nothing; then what is left of the last one.
local function trim(stream, floor)
    local removed = redis.call('XTRIM', stream, 'MINID', '~', floor, 'LIMIT', BATCH)
    return removed > 0 and removed or redis.call('XTRIM', stream, 'MINID', '=', floor)
end

local events, outcomes = groups_of(KEYS[1]), groups_of(KEYS[2])

local function trim_events()
    local floor, ours
    for _, group in ipairs(events) do
        floor = lower(floor, group.floor)
        ours = ours or group.name == ARGV[1]
    end
    if not ours or redis.call('ZCARD', KEYS[3]) > FEW then
        return 0
    end
    for _, id in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
        floor = lower(floor, id)
    end
    return trim(KEYS[1], floor)
end

local function is_needed(id)
    if redis.call('ZSCORE', KEYS[3], id) then
        return true
    end
    for _, group in ipairs(events) do
        if #redis.call('XPENDING', KEYS[1], group.name, id, id, 1) > 0 then
            return true
        end
    end
    return false
end

-- Behind an entry that stays others may have ended. How many were taken away, whether there is more, and from where.
local function pick_events(from)
    local ceiling, ours
    for _, group in ipairs(events) do
        ceiling = lower(ceiling, group.last)
        ours = ours or group.name == ARGV[1]
    end
    if not ours then
        return 0, 0, '-'
    end
    local removed = 0
    local entries = redis.call('XRANGE', KEYS[1], from, ceiling, 'COUNT', PAGE)
    for _, entry in ipairs(entries) do
        if not is_needed(entry[1]) then
            removed = removed + redis.call('XDEL', KEYS[1], entry[1])
        end
    end
    if #entries < PAGE then
        return removed, 0, '-'
    end
    return removed, 1, '(' .. entries[#entries][1]
end

local function trim_outcomes()
    local floor = whole(math.max(0, now - ARGV[4])) .. '-0'
    for _, group in ipairs(outcomes) do
        floor = lower(floor, group.floor)
    end
    return trim(KEYS[2], floor)
end

local stalled = {}

local function find_stalled(key, name, groups)
    for _, group in ipairs(groups) do
        local first = (key ~= KEYS[1] or group.name ~= ARGV[1]) and redis.call('XRANGE', key, group.floor, '+', 'COUNT', 1)[1]
        local age = first and now - milliseconds(first[1]) or 0
        if age > tonumber(ARGV[5]) then
            for _, value in ipairs({ name, group.name, age }) do
                stalled[#stalled + 1] = value
            end
        end
    end
end

-- Deleting a consumer drops what is pending for it, so only empty ones; one that comes back is made anew.
local function forget_consumers()
    for _, group in ipairs(events) do
        for _, flat in ipairs(group.name == ARGV[1] and redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1]) or {}) do
            local info = fields_of(flat)
            if info.pending == 0 and info.idle >= tonumber(ARGV[6]) then
                redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], info.name)
            end
        end
    end
end

local count = tonumber(before_stalled) or 0
if ARGV[8] == '1' then
    find_stalled(KEYS[1], 'events', events)
    find_stalled(KEYS[2], 'outcomes', outcomes)
    forget_consumers()
    count = #stalled / 3
end
local removed, more, from = trim_events(), 1, ARGV[7]
if removed == 0 then
    removed, more, from = pick_events(from)
end
local result = { 1, count, removed, trim_outcomes(), more, from }
for _, value in ipairs(stalled) do
    result[#result + 1] = value
end
redis.call('SET', KEYS[4], ARGV[2] .. ' ' .. count, 'PX', math.max(1000, 2 * ARGV[3]))
return result
