-- Begins on an event, or goes on with it: takes its session's turn, gives a sign of life, and tells what earlier tries have left.
-- uses: clock ids turn
-- KEYS: events, retry, attempts, turn:SESSION, waiting:SESSION, seen:EVENT, effects:EVENT, and, to freeze a mail, mail:EVENT.
-- ARGV: group, consumer, id, ms after which a silent owner loses its events, whether the turn is needed (0 or 1), ms to keep the
-- ledger, the mail.
-- { 0 }: this consumer does not own the event any more. { 2 }: another event of the session is in process; this one waits.
-- { 3 }: it was finished before; it is acknowledged. { 1, failed tries, deliveries in a row, ledger field, value ... }: it is ours.
-- A mail that was frozen before is among the fields, as "frozen"; else this one is, from now on.
local group, consumer, id, silence = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local pending = redis.call('XPENDING', KEYS[1], group, id, id, 1, consumer)
if #pending == 0 then
    return { 0 }
end
local now = now_ms()
local mark = tonumber(redis.call('GET', KEYS[6]) or 0) or 0
if mark < 0 and milliseconds(id) <= -mark then
    redis.call('XACK', KEYS[1], group, id)
    redis.call('HDEL', KEYS[3], id)
    return { 3, hand_on(id, KEYS[4], KEYS[5], KEYS[2], now) }
end

if ARGV[5] == '1' then
    local holder, owner = string.match(redis.call('GET', KEYS[4]) or '', '^(%S*) ?(.*)$')
    if holder == id and owner ~= consumer and is_alive(KEYS[4], owner, silence) then
        return { 0 } -- pending it stays, and is claimed when that one has fallen silent
    end
    if holder ~= '' and holder ~= id and (is_alive(KEYS[4], owner, silence) or is_coming(KEYS[1], KEYS[2], group, holder, now)) then
        redis.call('ZADD', KEYS[2], whole(now + silence), id) -- at the latest: should its turn never be given on
        redis.call('ZADD', KEYS[5], milliseconds(id), id)
        redis.call('PEXPIRE', KEYS[5], KEEP)
        redis.call('XACK', KEYS[1], group, id)
        return { 2 }
    end
    redis.call('SET', KEYS[4], id .. ' ' .. consumer, 'PX', KEEP)
    redis.call('ZREM', KEYS[5], id)
end
redis.call('XCLAIM', KEYS[1], group, consumer, 0, id, 'JUSTID')
redis.call('PEXPIRE', KEYS[7], ARGV[6])
local result = { 1, tonumber(redis.call('HGET', KEYS[3], id) or 0), pending[1][4] }
for _, text in ipairs(redis.call('HGETALL', KEYS[7])) do
    result[#result + 1] = text
end
if KEYS[8] and not redis.call('SET', KEYS[8], ARGV[7], 'NX', 'PX', ARGV[6]) then
    result[#result + 1] = 'frozen'
    result[#result + 1] = redis.call('GET', KEYS[8])
    redis.call('PEXPIRE', KEYS[8], ARGV[6])
end
return result
