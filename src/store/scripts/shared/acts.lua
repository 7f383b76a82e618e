-- What operators do is written down in the same script.
-- uses: clock

-- `letter` is an entry's { field, value ... }; only what is no personal data is kept of it. `keep` is in ms.
local function write_down(acts, keep, now, act, letter)
    local fields = { 'act', act.act, 'by', act.by, 'reason', act.reason, 'at_ms', whole(now) }
    for _, name in ipairs({ 'what', 'dead', 'entry' }) do
        if act[name] then
            fields[#fields + 1] = name
            fields[#fields + 1] = act[name]
        end
    end
    for i = 1, #letter, 2 do
        local name = letter[i]
        if name == 'event' or name == 'type' or name == 'session' or name == 'received_ms' or name == 'created' then
            fields[#fields + 1] = name
            fields[#fields + 1] = letter[i + 1]
        elseif name == 'reason' or name == 'error' or name == 'attempts' or name == 'failed_ms' then
            fields[#fields + 1] = 'dead_' .. name
            fields[#fields + 1] = letter[i + 1]
        end
    end
    redis.call('XADD', acts, 'MINID', '~', whole(math.max(0, now - keep)), '*', unpack(fields))
end
