-- Owning an event, the turn of its session, and its failed tries.
-- uses: clock ids
-- turn:SESSION is "ID CONSUMER" while that consumer works on the event, "ID" while the turn is handed to an event that is due.
-- It is set anew with each sign of life; when the whole fleet is gone for KEEP, it goes by itself.
local KEEP = 86400000

-- In the place of ID for one who takes a turn without being an event.
local NOBODY = '0-0'

local function owns(events, group, consumer, id)
    return #redis.call('XPENDING', events, group, id, id, 1, consumer) == 1
end

-- Whoever has shown itself lately may be at work without the group's knowing, when that was made anew.
local function is_alive(turn, owner, silence)
    return owner ~= '' and redis.call('PTTL', turn) > KEEP - silence / 2
end

-- An event that has the turn is pending, or has just been handed it and is due. Otherwise it was lost with its entry.
local function is_coming(events, retry, group, holder, now)
    local due = redis.call('ZSCORE', retry, holder)
    return #redis.call('XPENDING', events, group, holder, holder, 1) == 1 or (due and tonumber(due) <= now)
end

-- Takes the turn from event `id`, if it has it, and hands it to the first event that waits for it, which becomes due at once.
-- How many were given it: 0 or 1.
local function hand_on(id, turn, waiting, retry, now)
    local holder = redis.call('GET', turn)
    if not holder or string.match(holder, '^%S+') ~= id then
        return 0
    end
    redis.call('DEL', turn)
    local first = redis.call('ZPOPMIN', waiting)[1]
    while first do
        if redis.call('ZSCORE', retry, first) then
            redis.call('SET', turn, first, 'PX', KEEP)
            redis.call('ZADD', retry, whole(now), first)
            return 1
        end
        first = redis.call('ZPOPMIN', waiting)[1] -- that one is in process already, and asks for the turn itself
    end
    return 0
end

-- No group that is made anew from the stream's beginning shall carry this event to its end once more. Whoever adds it to the
-- stream again later means it: that entry is younger than the mark.
local function mark_finished(seen, id, now, keep)
    local mark = whole(-math.max(now, milliseconds(id)))
    if not redis.call('SET', seen, mark, 'XX', 'KEEPTTL') then
        redis.call('SET', seen, mark, 'PX', keep)
    end
end

-- Keeps in the ledger when and why a try failed, for those who ask what became of the event; the last TRIES_KEPT of them.
local TRIES_KEPT = 32

local function note_try(ledger, now, reason, error)
    local number = redis.call('HINCRBY', ledger, 'tries', 1)
    redis.call('HSET', ledger, 'try:' .. number, whole(now) .. ' ' .. reason .. ' ' .. error)
    redis.call('HDEL', ledger, 'try:' .. (number - TRIES_KEPT))
end
