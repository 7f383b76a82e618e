-- Looks through a part of a stream for the entries that fit.
-- KEYS: the stream. ARGV: command (XRANGE or XREVRANGE), from, to, how many to look at, how many to give, payload (1 or 0),
-- field, value ... that an entry must have.
-- { where to go on ("": nothing is left), how many were looked at, entry ... }; an entry is { id, { field, value ... } }.
local entries = redis.call(ARGV[1], KEYS[1], ARGV[2], ARGV[3], 'COUNT', ARGV[4])
local result = { '', 0 }
for number, entry in ipairs(entries) do
    local id, fields, found, shown = entry[1], entry[2], {}, {}
    for i = 1, #fields, 2 do
        found[fields[i]] = fields[i + 1]
        if fields[i] ~= 'payload' or ARGV[6] == '1' then
            shown[#shown + 1] = fields[i]
            shown[#shown + 1] = fields[i + 1]
        end
    end
    local fits = true
    for i = 7, #ARGV, 2 do
        fits = fits and found[ARGV[i]] == ARGV[i + 1]
    end
    if fits then
        result[#result + 1] = { id, shown }
    end
    result[2] = number
    if #result - 2 >= tonumber(ARGV[5]) or number == tonumber(ARGV[4]) then
        local more = #redis.call(ARGV[1], KEYS[1], '(' .. id, ARGV[3], 'COUNT', 1) > 0
        result[1] = more and '(' .. id or ''
        break
    end
end
return result
