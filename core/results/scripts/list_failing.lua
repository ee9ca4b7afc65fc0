-- Returns failing models behind a position (score, model_id) of the order, newest first.
--
-- By rank, since many models may share a score, and the model of the position may no longer be there; by bytes, as Redis
-- orders them, since Lua compares by the locale.
--
-- KEYS: failing
-- ARGV: score (empty: from the beginning), model_id, count
local failing, score, model_id, count = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])

local function is_behind(one, other)
    for index = 1, math.min(#one, #other) do
        if one:byte(index) ~= other:byte(index) then return one:byte(index) > other:byte(index) end
    end
    return #one > #other
end

local first, last = 0, 0
if score ~= '' then
    first = redis.call('ZCOUNT', failing, '(' .. score, '+inf')
    last = redis.call('ZCOUNT', failing, score, '+inf')
end
while first < last do
    local middle = math.floor((first + last) / 2)
    if is_behind(redis.call('ZREVRANGE', failing, middle, middle)[1], model_id) then
        first = middle + 1
    else
        last = middle
    end
end
return redis.call('ZREVRANGE', failing, first, first + count - 1, 'WITHSCORES')
