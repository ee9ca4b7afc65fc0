-- Adds the result of a due time for each model whose latest result is ok and of the same label row.
--
-- Only a latest result that is ok has a confusion matrix, which ends with the version of its label row; the result ends
-- with the label row. If both are the same, only the due time changes. Compared and replaced as text, since Lua would
-- round the numbers in between.
--
-- KEYS: counts, then for each model: results, confusion
-- ARGV: due_at, score, lag, status code, history, ttl, then for each model: end of the result, end of the confusion
-- Returns the indexes of the models whose result was added.
local counts = KEYS[1]
local due_at, score, lag, unchanged, history, ttl = unpack(ARGV)
local added = {}
for at = 2, #KEYS, 2 do
    local results, confusion_key = KEYS[at], KEYS[at + 1]
    local row_end, version_end = ARGV[at + 5], ARGV[at + 6]
    local confusion = redis.pcall('GET', confusion_key)  -- a table with the error if the key has another type
    if type(confusion) == 'string' and confusion:sub(-#version_end) == version_end then
        local member = redis.pcall('ZRANGE', results, -1, -1)[1] or ''
        local latest, metrics = member:match('^%[(%d+),%-?%d+,%d,(.*)$')
        local same = latest and confusion:sub(2, #latest + 2) == latest .. ',' and metrics:sub(-#row_end) == row_end
        if same and tonumber(latest) < tonumber(due_at) then
            redis.call('ZADD', results, score, '[' .. due_at .. ',' .. lag .. ',' .. unchanged .. ',' .. metrics)
            redis.call('ZREMRANGEBYRANK', results, 0, -(history + 1))
            redis.call('EXPIRE', results, ttl)
            redis.call('SET', confusion_key, '[' .. due_at .. confusion:sub(#latest + 2), 'EX', ttl)
            added[#added + 1] = at / 2 - 1
        end
    end
end
if #added > 0 and type(redis.pcall('HINCRBY', counts, 'ok', #added)) == 'table' then
    redis.call('DEL', counts)  -- another type, or a field that is no number
    redis.call('HSET', counts, 'ok', #added)
end
return added
