-- Saves the checkpoint, unless Redis restarted, or lost or changed the checkpoint, since the scheduler last read it.
--
-- A Redis that restarted while messages were published must not look as if it had them all: neither if it returned empty
-- or with older data, nor if it lost only the messages of the last second.
--
-- KEYS: checkpoint
-- ARGV: checkpoint that the scheduler read, new checkpoint, run_id that the scheduler read
local same_process = string.find(redis.call('INFO', 'server'), 'run_id:' .. ARGV[3], 1, true)
local checkpoint = redis.pcall('GET', KEYS[1])
if same_process and (type(checkpoint) == 'string' and checkpoint or '') == ARGV[1] then
    redis.call('SET', KEYS[1], ARGV[2])
end
