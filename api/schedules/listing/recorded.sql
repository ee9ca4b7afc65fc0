-- Models with the status scheduled, late or error: of cron specs that the scheduler has recorded with a next due time or
-- an error.
--
-- Goes from spec to spec of crons, and in a large one from window to window: so many steps take their time and no more,
-- even where hardly any schedule has the status. model_id is where the spec goes on; null when it is done with.
-- psycopg2 writes the values into the statement, so the planner removes the conditions on absent filters and on other
-- statuses.
WITH RECURSIVE scan AS (
    SELECT %(from_cron)s::text COLLATE "C" AS cron_expression, %(from_zone)s::text COLLATE "C" AS timezone,
        %(from_model)s::uuid AS model_id, '{}'::uuid[] AS model_ids, %(limit)s AS remaining, 0 AS step
    UNION ALL
    SELECT spec.cron_expression, spec.timezone, portion.next_model_id, portion.model_ids[1:scan.remaining],
        scan.remaining - cardinality(portion.model_ids), scan.step + 1
    FROM scan
    CROSS JOIN LATERAL (
        -- Without next_due_at, the index of errors has all columns.
        SELECT cron_expression, timezone, CASE WHEN %(status)s <> 'error' THEN next_due_at END AS next_due_at,
            CASE WHEN (cron_expression, timezone) = (scan.cron_expression, scan.timezone)
                THEN scan.model_id ELSE %(first_model)s::uuid END AS model_id
        FROM public.crons
        WHERE (cron_expression, timezone) >= (scan.cron_expression, scan.timezone)
            AND (scan.model_id IS NOT NULL
                OR (cron_expression, timezone) <> (scan.cron_expression, scan.timezone))
            AND (%(cron)s IS NULL OR cron_expression = public.normalize_cron(%(cron)s))
            AND (%(zone)s IS NULL OR timezone = %(zone)s)
            AND CASE %(status)s
                WHEN 'error' THEN error IS NOT NULL
                -- Written so that no index of next_due_at serves it: after an outage of the scheduler all specs are
                -- late, and a planner with statistics of before would read and sort them all in every step.
                WHEN 'late' THEN
                    error IS NULL AND (SELECT public.schedule_now()) - next_due_at > public.late_after()
                WHEN 'scheduled' THEN error IS NULL AND next_due_at IS NOT NULL
            END
        ORDER BY cron_expression, timezone LIMIT 1
    ) AS spec
    CROSS JOIN LATERAL (
        SELECT coalesce(array_agg(model_id ORDER BY model_id) FILTER (
                WHERE number <= %(window)s AND CASE %(status)s
                    WHEN 'error' THEN true
                    WHEN 'late' THEN spec.next_due_at > active_since
                    WHEN 'scheduled' THEN NOT (
                        spec.next_due_at > active_since
                        AND (SELECT public.schedule_now()) - spec.next_due_at > public.late_after())
                END), '{}') AS model_ids,
            (array_agg(model_id) FILTER (WHERE number > %(window)s))[1] AS next_model_id
        FROM (
            SELECT schedule.model_id, schedule.active_since,
                row_number() OVER (ORDER BY schedule.model_id) AS number
            FROM public.metrics_executions AS schedule
            WHERE schedule.enabled AND schedule.cron_expression = spec.cron_expression
                AND schedule.timezone = spec.timezone AND schedule.model_id >= spec.model_id
            ORDER BY schedule.model_id LIMIT %(window)s + 1
        ) AS candidate
    ) AS portion
    WHERE scan.remaining > 0 AND scan.step < %(max_steps)s
)
SELECT cron_expression AS cron, timezone AS zone, model_id::text, model_ids::text[] FROM scan
