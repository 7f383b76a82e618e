-- One ceiling for the whole fleet: gives each caller its own moment (generic cell rate algorithm).
-- KEYS: rate:MODE, slow:MODE. ARGV: how many a minute.
-- { ms to wait before the request may be made, the time now (ms) }
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local interval = 60000 / ARGV[1] * tonumber(redis.call('GET', KEYS[2]) or 1)
local burst = 200 -- ms of unused moments that may be made up for: a second then holds at most a fifth more
local due = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now - burst)
redis.call('SET', KEYS[1], string.format('%.3f', due + interval), 'PX', math.ceil(due + interval - now) + 60000)
return { math.max(0, math.ceil(due - now)), math.floor(now) }
