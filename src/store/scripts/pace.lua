-- How fast somebody may go on (generic cell rate algorithm): a minute's worth at once, then at the rate. All or none.
-- KEYS: pace:KIND:NAME ... ARGV: how many a minute, each.
-- Ms to wait; 0: taken.
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local wait, due = 0, {}
for i, key in ipairs(KEYS) do
    local interval = 60000 / ARGV[i]
    due[i] = math.max(tonumber(redis.call('GET', key) or 0), now) + interval
    wait = math.max(wait, math.ceil(due[i] - now - math.max(60000, interval)))
end
if wait == 0 then
    for i, key in ipairs(KEYS) do
        redis.call('SET', key, string.format('%.3f', due[i]), 'PX', math.ceil(due[i] - now))
    end
end
return wait
