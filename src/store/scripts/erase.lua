-- Erases an entry of a stream, for every group that reads it, and what else is held about its event. Of an event that was still
-- to be carried out the mark stays: it came, and it is over.
-- uses: clock turn
-- KEYS: the stream, held, retry, attempts, waiting:SESSION, seen:EVENT, effects:EVENT, mail:EVENT, user:HASH.
-- ARGV: id, ms to keep the mark, session, whether the stream is that of events (1 or 0).
-- 1: erased. 0: it was gone.
for _, flat in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
    for i = 1, #flat, 2 do
        if flat[i] == 'name' then -- else it would stay pending there, and hold up the trimming
            redis.call('XACK', KEYS[1], flat[i + 1], ARGV[1])
        end
    end
end
if ARGV[4] == '1' then
    redis.call('ZREM', KEYS[2], ARGV[1])
    redis.call('ZREM', KEYS[3], ARGV[1])
    redis.call('HDEL', KEYS[4], ARGV[1])
    redis.call('ZREM', KEYS[5], ARGV[1])
    mark_finished(KEYS[6], ARGV[1], now_ms(), ARGV[2])
end
redis.call('DEL', KEYS[7], KEYS[8])
if redis.call('HGET', KEYS[9], 'session') == ARGV[3] then
    redis.call('DEL', KEYS[9])
end
return redis.call('XDEL', KEYS[1], ARGV[1])
