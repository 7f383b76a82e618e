-- What earlier tries have left.
-- KEYS: events, attempts, effects:EVENT. ARGV: group, consumer, id.
-- { failed tries, deliveries in a row, ledger field, value ... }; {} when this consumer does not own the event any more.
local pending = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1, ARGV[2])
if #pending == 0 then
    return {}
end
local result = { tonumber(redis.call('HGET', KEYS[2], ARGV[3]) or 0), pending[1][4] }
for _, text in ipairs(redis.call('HGETALL', KEYS[3])) do
    result[#result + 1] = text
end
return result
