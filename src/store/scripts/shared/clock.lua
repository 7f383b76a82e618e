-- Redis's time in ms, and numbers as they are written into keys: all digits, no exponent.
local function now_ms()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function whole(number)
    return string.format('%d', number)
end
