"""What Redis does with results in one step, as scripts; keys and format are those of repository.py."""

# A key of another type than ours holds nothing of ours, and would end a script, and with it the results of all others.
REMOVE_WRONG_TYPE = """
local removed = {}
local function remove_wrong_type(key, expected)
    local found = redis.call('TYPE', key).ok
    if found ~= expected and found ~= 'none' then
        redis.call('DEL', key)
        removed[#removed + 1] = key
    end
end
"""
# Looking and then adding in two steps lets a second worker in between. Many in one call: each costs a client and Redis
# a fraction of a call of its own. Results that are later than the clock were added while it was ahead: they stay, since
# it may be the present clock that is wrong, but do not hide whether the model fails. Returned are the keys that were of
# another type.
ADD = (
    REMOVE_WRONG_TYPE
    + """
local failing, counts = KEYS[1], KEYS[2]
local history, ttl = ARGV[1], ARGV[2]
remove_wrong_type(failing, 'zset')
remove_wrong_type(counts, 'hash')
for at = 3, #KEYS, 2 do
    local results, detail = KEYS[at], KEYS[at + 1]
    local first = (at - 3) / 2 * 6 + 3
    local score, member, status, model_id, confusion, latest_possible = unpack(ARGV, first, first + 5)
    remove_wrong_type(results, 'zset')
    local oldest = redis.call('ZRANGE', results, 0, 0, 'WITHSCORES')[2]
    local trimmed = oldest and redis.call('ZCARD', results) >= tonumber(history) and tonumber(score) < tonumber(oldest)
    if not trimmed and redis.call('ZCOUNT', results, score, score) == 0 then
        redis.call('ZADD', results, score, member)
        redis.call('ZREMRANGEBYRANK', results, 0, -(history + 1))
        redis.call('EXPIRE', results, ttl)
        if type(redis.pcall('HINCRBY', counts, status, 1)) == 'table' then  -- it was no number
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
                redis.call('DEL', detail)
            else
                redis.call('SET', detail, confusion, 'EX', ttl)
            end
        end
    end
end
return removed
"""
)

# The detail, which only an ok result has that is its model's latest, ends with the version of the row that it is of,
# and the member with the row: then all that changes is the moment. By text, since Lua would round what is in between.
REPEAT = """
local counts = KEYS[1]
local due, score, lag, unchanged, history, ttl = unpack(ARGV)
local repeated = {}
for at = 2, #KEYS, 2 do
    local results, detail = KEYS[at], KEYS[at + 1]
    local row, version = ARGV[at + 5], ARGV[at + 6]
    local kept = redis.pcall('GET', detail)  -- of another type, it is a table with the error
    if type(kept) == 'string' and kept:sub(-#version) == version then
        local member = redis.pcall('ZRANGE', results, -1, -1)[1] or ''
        local latest, figures = member:match('^%[(%d+),%-?%d+,%d,(.*)$')
        local same = latest and kept:sub(2, #latest + 2) == latest .. ',' and figures:sub(-#row) == row
        if same and tonumber(latest) < tonumber(due) then
            redis.call('ZADD', results, score, '[' .. due .. ',' .. lag .. ',' .. unchanged .. ',' .. figures)
            redis.call('ZREMRANGEBYRANK', results, 0, -(history + 1))
            redis.call('EXPIRE', results, ttl)
            redis.call('SET', detail, '[' .. due .. kept:sub(#latest + 2), 'EX', ttl)
            repeated[#repeated + 1] = at / 2 - 1
        end
    end
end
if #repeated > 0 and type(redis.pcall('HINCRBY', counts, 'ok', #repeated)) == 'table' then
    redis.call('DEL', counts)  -- it was no hash of numbers
    redis.call('HSET', counts, 'ok', #repeated)
end
return repeated
"""

# Models whose results have expired, of those that are given.
DELETE_STALE_FAILURES = """
for at = 2, #KEYS do
    if redis.call('EXISTS', KEYS[at]) == 0 then
        redis.call('ZREM', KEYS[1], ARGV[at - 1])
    end
end
"""

# Those after the place of (score, member) in the order, newest first. By ranks, since many may share a score, and the
# member may have gone; by bytes, as Redis has them in order, since Lua compares by the locale.
FAILING_FROM = """
local failing, score, member, count = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
local function is_behind(one, other)
    for place = 1, math.min(#one, #other) do
        if one:byte(place) ~= other:byte(place) then return one:byte(place) > other:byte(place) end
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
    if is_behind(redis.call('ZREVRANGE', failing, middle, middle)[1], member) then
        first = middle + 1
    else
        last = middle
    end
end
return redis.call('ZREVRANGE', failing, first, first + count - 1, 'WITHSCORES')
"""
