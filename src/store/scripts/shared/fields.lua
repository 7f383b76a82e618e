-- { field, value ... }, as Redis has it, by the fields' names.
local function fields_of(list)
    local fields = {}
    for i = 1, #list, 2 do
        fields[list[i]] = list[i + 1]
    end
    return fields
end
