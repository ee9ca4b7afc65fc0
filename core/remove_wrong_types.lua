-- Deletes keys that have another type than expected.
--
-- KEYS: keys
-- ARGV: their types
-- Returns the deleted keys, each with the type that it had.
local removed = {}
for index, key in ipairs(KEYS) do
    local found = redis.call('TYPE', key).ok
    if found ~= 'none' and found ~= ARGV[index] then
        redis.call('DEL', key)
        removed[#removed + 1] = key .. ' (' .. found .. ')'
    end
end
return removed
