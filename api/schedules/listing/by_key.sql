-- Keys of the schedules with a cron, a time zone or a state of being enabled, in the order (cron, zone, model), from a
-- position (inclusive) on.
--
-- psycopg2 writes the values into the statement, so the planner removes what concerns an absent filter.
-- One index holds the enabled schedules, another one those that are paused: a rare kind is found among many of the
-- other.
(SELECT cron_expression AS cron, timezone AS zone, model_id FROM public.metrics_executions
 WHERE enabled AND %(enabled)s IS DISTINCT FROM false
    AND CASE
        WHEN %(cron)s IS NULL AND %(zone)s IS NULL THEN
            (cron_expression, timezone, model_id) >= (%(from_cron)s, %(from_zone)s, %(from_model)s)
        WHEN %(zone)s IS NULL THEN
            cron_expression = public.normalize_cron(%(cron)s)
            AND (timezone, model_id) >= (%(from_zone)s, %(from_model)s)
        -- Not "timezone = zone": an index by cron would then have the same order, and be read from its beginning.
        WHEN %(cron)s IS NULL THEN
            (timezone, enabled, cron_expression, model_id) >= (%(zone)s, true, %(from_cron)s, %(from_model)s)
            AND (timezone, enabled) <= (%(zone)s, true)
        ELSE
            cron_expression = public.normalize_cron(%(cron)s) AND timezone = %(zone)s AND model_id >= %(from_model)s
    END
 ORDER BY CASE WHEN %(cron)s IS NULL AND %(zone)s IS NOT NULL THEN timezone END,
    cron_expression, timezone, model_id
 LIMIT %(limit)s)
UNION ALL
(SELECT cron_expression AS cron, timezone AS zone, model_id FROM public.metrics_executions
 WHERE NOT enabled AND %(enabled)s IS DISTINCT FROM true
    AND CASE
        WHEN %(cron)s IS NULL AND %(zone)s IS NULL THEN
            (cron_expression, timezone, model_id) >= (%(from_cron)s, %(from_zone)s, %(from_model)s)
        WHEN %(zone)s IS NULL THEN
            cron_expression = public.normalize_cron(%(cron)s)
            AND (timezone, model_id) >= (%(from_zone)s, %(from_model)s)
        WHEN %(cron)s IS NULL THEN
            (timezone, enabled, cron_expression, model_id) >= (%(zone)s, false, %(from_cron)s, %(from_model)s)
            AND (timezone, enabled) <= (%(zone)s, false)
        ELSE
            cron_expression = public.normalize_cron(%(cron)s) AND timezone = %(zone)s AND model_id >= %(from_model)s
    END
 ORDER BY CASE WHEN %(cron)s IS NULL AND %(zone)s IS NOT NULL THEN timezone END,
    cron_expression, timezone, model_id
 LIMIT %(limit)s)
ORDER BY cron, zone, model_id
LIMIT %(limit)s
