-- The ids of streams' entries: MS-NUMBER.
local function milliseconds(id)
    return tonumber(string.match(id, '^%d+'))
end

-- Compared as text: their parts may be larger than what numbers hold exactly.
local function is_less(a, b)
    return #a < #b or (#a == #b and a < b)
end

local function is_before(a, b)
    local a_time, a_number = string.match(a, '^(%d+)%-(%d+)$')
    local b_time, b_number = string.match(b, '^(%d+)%-(%d+)$')
    if a_time ~= b_time then
        return is_less(a_time, b_time)
    end
    return is_less(a_number, b_number)
end
