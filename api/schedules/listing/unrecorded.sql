-- Models with the status new: of cron specs that schedules use and the scheduler has not recorded.
--
-- The next spec in use after one of crons is usually the next one of crons, and otherwise new. Others may follow a new
-- one directly, so each step looks after the spec that it is at, and only then after those of crons.
-- psycopg2 writes the values into the statement, so the planner removes the conditions on absent filters.
WITH RECURSIVE scan AS (
    SELECT start.*, %(limit)s - cardinality(start.model_ids) AS remaining
    FROM (
        SELECT %(from_cron)s::text COLLATE "C" AS cron_expression, %(from_zone)s::text COLLATE "C" AS timezone,
            ARRAY(
                SELECT model_id FROM public.metrics_executions
                WHERE enabled AND cron_expression = %(from_cron)s AND timezone = %(from_zone)s
                    AND (%(cron)s IS NULL OR cron_expression = public.normalize_cron(%(cron)s))
                    AND (%(zone)s IS NULL OR timezone = %(zone)s)
                    AND model_id >= %(from_model)s AND NOT EXISTS (
                        SELECT FROM public.crons
                        WHERE cron_expression = %(from_cron)s AND timezone = %(from_zone)s
                            AND (next_due_at IS NOT NULL OR error IS NOT NULL))
                ORDER BY model_id LIMIT %(limit)s
            ) AS model_ids
    ) AS start
    UNION ALL
    SELECT spec.cron_expression, spec.timezone, portion.model_ids, scan.remaining - cardinality(portion.model_ids)
    FROM scan
    CROSS JOIN LATERAL (
        -- The inner LIMIT keeps the planner from joining all specs.
        SELECT cron_expression, timezone, (
                SELECT true FROM public.crons AS recorded
                WHERE recorded.cron_expression = schedule.cron_expression AND recorded.timezone = schedule.timezone
                    AND (recorded.next_due_at IS NOT NULL OR recorded.error IS NOT NULL) LIMIT 1
            ) IS NULL AS is_new
        FROM public.metrics_executions AS schedule
        WHERE enabled AND CASE
                WHEN %(cron)s IS NULL AND %(zone)s IS NULL THEN
                    (cron_expression, timezone) > (scan.cron_expression, scan.timezone)
                WHEN %(zone)s IS NULL THEN
                    cron_expression = public.normalize_cron(%(cron)s) AND timezone > scan.timezone
                WHEN %(cron)s IS NULL THEN
                    (timezone, enabled, cron_expression) > (%(zone)s, true, scan.cron_expression)
                    AND (timezone, enabled) <= (%(zone)s, true)
                ELSE
                    cron_expression = public.normalize_cron(%(cron)s) AND timezone = %(zone)s
                    AND (cron_expression, timezone) > (scan.cron_expression, scan.timezone)
            END
        ORDER BY CASE WHEN %(cron)s IS NULL AND %(zone)s IS NOT NULL THEN timezone END, cron_expression, timezone
        LIMIT 1
    ) AS nearest
    CROSS JOIN LATERAL (
        SELECT nearest.cron_expression, nearest.timezone WHERE nearest.is_new
        UNION ALL
        (SELECT next_spec.cron_expression, next_spec.timezone
         FROM (
            SELECT cron_expression, timezone FROM public.crons
            WHERE (cron_expression, timezone) >= (nearest.cron_expression, nearest.timezone)
                AND (cron_expression, timezone) <= (%(until_cron)s, %(until_zone)s)
                AND (%(cron)s IS NULL OR cron_expression = public.normalize_cron(%(cron)s))
                AND (%(zone)s IS NULL OR timezone = %(zone)s)
         ) AS existing
         CROSS JOIN LATERAL (
            SELECT cron_expression, timezone, (
                    SELECT true FROM public.crons AS recorded
                    WHERE recorded.cron_expression = schedule.cron_expression AND recorded.timezone = schedule.timezone
                        AND (recorded.next_due_at IS NOT NULL OR recorded.error IS NOT NULL) LIMIT 1
                ) IS NULL AS is_new
            FROM public.metrics_executions AS schedule
            WHERE enabled AND CASE
                    WHEN %(cron)s IS NULL AND %(zone)s IS NULL THEN
                        (cron_expression, timezone) > (existing.cron_expression, existing.timezone)
                    WHEN %(zone)s IS NULL THEN
                        cron_expression = public.normalize_cron(%(cron)s) AND timezone > existing.timezone
                    WHEN %(cron)s IS NULL THEN
                        (timezone, enabled, cron_expression) > (%(zone)s, true, existing.cron_expression)
                        AND (timezone, enabled) <= (%(zone)s, true)
                    ELSE
                        cron_expression = public.normalize_cron(%(cron)s) AND timezone = %(zone)s
                        AND (cron_expression, timezone) > (existing.cron_expression, existing.timezone)
                END
            ORDER BY CASE WHEN %(cron)s IS NULL AND %(zone)s IS NOT NULL THEN timezone END, cron_expression, timezone
            LIMIT 1
         ) AS next_spec
         WHERE NOT nearest.is_new AND next_spec.is_new
         ORDER BY existing.cron_expression, existing.timezone LIMIT 1)
    ) AS spec
    CROSS JOIN LATERAL (
        SELECT ARRAY(
            SELECT schedule.model_id FROM public.metrics_executions AS schedule
            WHERE schedule.enabled AND schedule.cron_expression = spec.cron_expression
                AND schedule.timezone = spec.timezone
            ORDER BY schedule.model_id LIMIT scan.remaining
        ) AS model_ids
    ) AS portion
    WHERE scan.remaining > 0
)
SELECT cron_expression AS cron, timezone AS zone, model_ids::text[] FROM scan
