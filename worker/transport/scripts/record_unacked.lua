-- Records messages as unacknowledged and removes them from the list of taken messages, in one step.
--
-- KEYS: taken messages (list), unacknowledged messages (hash), their times (sorted set)
-- ARGV: messages
-- A message that is no longer in the list was recorded by another worker, and may be finished by now.
-- A message that cannot be parsed is removed.
local taken, unacked, index = KEYS[1], KEYS[2], KEYS[3]
local now = redis.call('TIME')[1]
-- A script that fails half-way would have removed a message from the list without recording it.
for key, expected in pairs({[unacked] = 'hash', [index] = 'zset'}) do
    local found = redis.call('TYPE', key).ok
    if found ~= expected and found ~= 'none' then
        redis.call('DEL', key)
    end
end
for _, item in ipairs(ARGV) do
    if redis.call('LREM', taken, 1, item) == 1 then
        local parsed, message = pcall(cjson.decode, item)
        local complete, tag, exchange, key = pcall(function()
            local info = message.properties.delivery_info
            return message.properties.delivery_tag, info.exchange, info.routing_key
        end)
        if parsed and complete and type(tag) == 'string' then
            redis.call('ZADD', index, now, tag)
            local route = cjson.encode(exchange) .. ',' .. cjson.encode(key)
            redis.call('HSET', unacked, tag, '[' .. item .. ',' .. route .. ']')
        end
    end
end
