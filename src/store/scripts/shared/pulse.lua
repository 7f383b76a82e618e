-- Put before the scripts that use it: the fleet's pulse, "WHEN UNTIL": when a worker last gave a sign of life, and until when nobody is
-- held to be silent. When no sign came for half of the time that makes a worker silent, it was not the workers: Redis was away, or all
-- of them. For as long again they may come back to what is theirs, before others take it.
local function beat(pulse, silence)
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local last, wait = string.match(redis.call('GET', pulse) or '0 0', '^(%d+) (%d+)$')
    if now - last > silence / 2 then
        wait = now + silence / 2
    end
    redis.call('SET', pulse, string.format('%d %d', now, wait), 'PX', 2 * silence + 60000)
    return now >= tonumber(wait)
end
