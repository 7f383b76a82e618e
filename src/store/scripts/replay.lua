-- Puts a dead letter back into the stream, unread and with its ledger: what is done stays done, what failed for good is tried again.
-- uses: acts clock ids
-- KEYS: dead, events, effects:EVENT, seen:EVENT, acts. ARGV: id in dead, event, ms to keep marks and acts, by, reason.
-- Its new id in the stream; '': it is not among the dead letters any more, so somebody else was first.
local letter = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])[1]
if not letter then
    return ''
end
local now = now_ms()
local own = { reason = true, error = true, attempts = true, failed_ms = true }
local fields = {}
for i = 1, #letter[2], 2 do
    if not own[letter[2][i]] then
        fields[#fields + 1] = letter[2][i]
        fields[#fields + 1] = letter[2][i + 1]
    end
end
local entry = redis.call('XADD', KEYS[2], '*', unpack(fields))

-- The mark says when the event ended; only a younger entry than that is carried out. And no resend is to be taken for a new event.
local added = milliseconds(entry)
local mark = tonumber(redis.call('GET', KEYS[4]) or '')
if not mark then
    redis.call('SET', KEYS[4], whole(now), 'PX', ARGV[3])
elseif mark < 0 and -mark >= added then
    redis.call('SET', KEYS[4], whole(1 - added), 'KEEPTTL')
end

for _, field in ipairs(redis.call('HKEYS', KEYS[3])) do
    if string.sub(field, 1, 7) == 'failed:' or string.sub(field, 1, 8) == 'skipped:' then
        redis.call('HDEL', KEYS[3], field)
    end
end
redis.call('XDEL', KEYS[1], ARGV[1])
write_down(KEYS[5], tonumber(ARGV[3]), now,
    { act = 'replay', by = ARGV[4], reason = ARGV[5], dead = ARGV[1], entry = entry }, letter[2])
return entry
