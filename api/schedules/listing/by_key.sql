-- Keys of the enabled or paused schedules with a cron and a time zone, from a position (inclusive) on; see by_key.py.
--
-- psycopg2 writes the values into the statement, so the planner removes the conditions on absent filters.
SELECT cron_expression AS cron, timezone AS zone, model_id
FROM public.metrics_executions
WHERE enabled = %(is_enabled)s
    AND CASE
        WHEN %(cron)s IS NULL AND %(zone)s IS NULL THEN
            (cron_expression, timezone, model_id) >= (%(from_cron)s, %(from_zone)s, %(from_model)s)
        WHEN %(zone)s IS NULL THEN
            cron_expression = public.normalize_cron(%(cron)s)
            AND (timezone, model_id) >= (%(from_zone)s, %(from_model)s)
        -- Not "timezone = zone": an index by cron would then have the same order, and be read from its beginning.
        WHEN %(cron)s IS NULL THEN
            (timezone, enabled, cron_expression, model_id) >= (%(zone)s, %(is_enabled)s, %(from_cron)s, %(from_model)s)
            AND (timezone, enabled) <= (%(zone)s, %(is_enabled)s)
        ELSE
            cron_expression = public.normalize_cron(%(cron)s) AND timezone = %(zone)s AND model_id >= %(from_model)s
    END
-- With a time zone alone, by its index.
ORDER BY CASE WHEN %(cron)s IS NULL AND %(zone)s IS NOT NULL THEN timezone END, cron_expression, timezone, model_id
LIMIT %(limit)s
