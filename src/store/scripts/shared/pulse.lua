-- The fleet's pulse, "WHEN UNTIL": when a worker last gave a sign of life, and until when nobody is
-- held to be silent. When no sign came for half of the time that makes a worker silent, it was not the workers: Redis was away, or all
-- of them. For as long again they may come back to what is theirs, before others take it.
-- uses: clock
local function beat(pulse, silence)
    local now = now_ms()
    local last, wait = string.match(redis.call('GET', pulse) or '0 0', '^(%d+) (%d+)$')
    if now - last > silence / 2 then
        wait = now + silence / 2
    end
    redis.call('SET', pulse, whole(now) .. ' ' .. whole(wait), 'PX', 2 * silence + 60000)
    return now >= tonumber(wait)
end
