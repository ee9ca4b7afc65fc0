"""What Redis does with results in one step, as scripts; their keys and format are those of worker/results.py."""

# Looking and then adding in two steps lets a second worker in between. Many in one call: each costs a client and Redis
# a fraction of a call of its own.
ADD = """
local failing, counts = KEYS[1], KEYS[2]
local history, ttl = ARGV[1], ARGV[2]
for at = 3, #KEYS, 2 do
    local results, detail = KEYS[at], KEYS[at + 1]
    local score, member, status, model_id, confusion = unpack(ARGV, (at - 3) / 2 * 5 + 3, (at - 3) / 2 * 5 + 7)
    if redis.call('ZCOUNT', results, score, score) == 0 then
        redis.call('ZADD', results, score, member)
        redis.call('ZREMRANGEBYRANK', results, 0, -(history + 1))
        redis.call('EXPIRE', results, ttl)
        redis.call('HINCRBY', counts, status, 1)
        if redis.call('ZCOUNT', results, '(' .. score, '+inf') == 0 then
            if status == 'ok' then
                redis.call('ZREM', failing, model_id)
            else
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
"""

# The detail, which only an ok result has that is its model's latest, ends with the version of the row that it is of,
# and the member with the row: then all that changes is the moment. By text, since Lua would round what is in between.
REPEAT = """
local counts = KEYS[1]
local due, score, lag, unchanged, history, ttl = unpack(ARGV)
local repeated = {}
for at = 2, #KEYS, 2 do
    local results, detail = KEYS[at], KEYS[at + 1]
    local row, version = ARGV[at + 5], ARGV[at + 6]
    local kept = redis.call('GET', detail)
    if kept and kept:sub(-#version) == version then
        local member = redis.call('ZRANGE', results, -1, -1)[1] or ''
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
if #repeated > 0 then
    redis.call('HINCRBY', counts, 'ok', #repeated)
end
return repeated
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
