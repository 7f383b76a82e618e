-- Gives the turn back that turn_take took: to the first event that waits for it.
-- uses: clock turn
-- KEYS: retry, turn:SESSION, waiting:SESSION. ARGV: who.
-- 1.
if redis.call('GET', KEYS[2]) == NOBODY .. ' ' .. ARGV[1] then
    hand_on(NOBODY, KEYS[2], KEYS[3], KEYS[1], now_ms())
end
return 1
