-- Pauses processing, or one effect. What is paused already keeps the time and reason of its first pause.
-- uses: acts clock
-- KEYS: control, acts. ARGV: what, by, reason, ms to keep acts.
-- { 1, 0 }: it is paused now. { 0, 0 }: it was before.
local now = now_ms()
if redis.call('HSETNX', KEYS[1], ARGV[1], whole(now) .. ' ' .. ARGV[2] .. ' ' .. ARGV[3]) == 0 then
    return { 0, 0 }
end
write_down(KEYS[2], tonumber(ARGV[4]), now, { act = 'pause', what = ARGV[1], by = ARGV[2], reason = ARGV[3] }, {})
return { 1, 0 }
