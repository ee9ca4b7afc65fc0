-- Adds results, each unless its model has one of the same due time. One step, so that no second worker comes in between;
-- many results in one call, since each call costs client and Redis a multiple of a result.
--
-- Results later than the clock were added while the clock was ahead: they stay, since it may be the present clock that
-- is wrong, but they do not hide whether the model fails.
--
-- KEYS: failing, counts, then for each result: results, confusion
-- ARGV: history, ttl, then for each result: score, member, status, model_id, confusion, latest possible score
-- Returns the keys that were deleted because they had another type: they cannot hold results, and would end the script.
local failing, counts = KEYS[1], KEYS[2]
local history, ttl = ARGV[1], ARGV[2]
local removed = {}

local function remove_wrong_type(key, expected)
    local found = redis.call('TYPE', key).ok
    if found ~= expected and found ~= 'none' then
        redis.call('DEL', key)
        removed[#removed + 1] = key
    end
end

remove_wrong_type(failing, 'zset')
remove_wrong_type(counts, 'hash')
for at = 3, #KEYS, 2 do
    local results, confusion_key = KEYS[at], KEYS[at + 1]
    local first = (at - 3) / 2 * 6 + 3
    local score, member, status, model_id, confusion, latest_possible = unpack(ARGV, first, first + 5)
    remove_wrong_type(results, 'zset')
    local oldest = redis.call('ZRANGE', results, 0, 0, 'WITHSCORES')[2]
    local trimmed = oldest and redis.call('ZCARD', results) >= tonumber(history) and tonumber(score) < tonumber(oldest)
    if not trimmed and redis.call('ZCOUNT', results, score, score) == 0 then
        redis.call('ZADD', results, score, member)
        redis.call('ZREMRANGEBYRANK', results, 0, -(history + 1))
        redis.call('EXPIRE', results, ttl)
        if type(redis.pcall('HINCRBY', counts, status, 1)) == 'table' then  -- the error of a field that is no number
            redis.call('HSET', counts, status, 1)
        end
        if redis.call('ZCOUNT', results, '(' .. score, latest_possible) == 0 then
            local since = redis.call('ZSCORE', failing, model_id)
            if status == 'ok' or since and tonumber(since) > tonumber(latest_possible) then
                redis.call('ZREM', failing, model_id)
            end
            if status ~= 'ok' then
                redis.call('ZADD', failing, 'NX', score, model_id)
            end
            if confusion == '' then
                redis.call('DEL', confusion_key)
            else
                redis.call('SET', confusion_key, confusion, 'EX', ttl)
            end
        end
    end
end
return removed
