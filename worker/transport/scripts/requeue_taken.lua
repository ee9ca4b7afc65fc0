-- Moves a message from the list of taken messages back to the queue, unless another worker has recorded it.
--
-- KEYS: taken messages, queue
-- ARGV: message
if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 1 then
    redis.call('RPUSH', KEYS[2], ARGV[1])
end
