-- Deletes those of the given models from the failing ones whose results have expired.
--
-- KEYS: failing, then for each model: results
-- ARGV: model ids
for at = 2, #KEYS do
    if redis.call('EXISTS', KEYS[at]) == 0 then
        redis.call('ZREM', KEYS[1], ARGV[at - 1])
    end
end
