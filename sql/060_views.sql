-- What readers may rely on: the tables behind these functions and this view may change.
-- The two set-returning functions are plain SQL, STABLE, without SECURITY DEFINER and without SET, so that the planner
-- inlines them and the first row comes at once.

CREATE OR REPLACE FUNCTION public.due_models(due_at timestamptz) RETURNS TABLE (model_id uuid)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT schedule.model_id
    FROM public.crons AS cron
    JOIN public.metrics_executions AS schedule USING (cron_expression, timezone)
    WHERE cron.next_due_at = due_models.due_at AND schedule.enabled AND schedule.active_since < due_models.due_at
$$;

COMMENT ON FUNCTION public.due_models(timestamptz) IS
    'Models that are to be calculated for this moment: enabled, unchanged since before it, and due at it.';


CREATE OR REPLACE FUNCTION public.ahead_limit() RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN interval '5 minutes';

COMMENT ON FUNCTION public.ahead_limit() IS
    'How far ahead of the clock the timestamp of a row of results may be; one that is further ahead does not count yet.';


DO $$
BEGIN
    -- Of an earlier version, without the last column; CREATE OR REPLACE cannot add one.
    IF pg_get_function_result(to_regprocedure('public.latest_results(uuid[])')) NOT LIKE '%version%' THEN
        DROP FUNCTION public.latest_results(uuid[]);
    END IF;
END;
$$;

CREATE OR REPLACE FUNCTION public.latest_results(model_ids uuid[])
RETURNS TABLE (model_id uuid, id bigint, y_true json, y_pred json, "timestamp" timestamptz, version text)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT newest.model_id, newest.id, newest.y_true, newest.y_pred, newest."timestamp", newest.xmin::text
    FROM unnest(latest_results.model_ids) AS wanted (model_id)
    CROSS JOIN LATERAL (
        SELECT result.*, result.xmin FROM public.results AS result
        WHERE result.model_id = wanted.model_id
            -- a row of a clock that runs ahead must not be the newest for ever
            AND result."timestamp" <= (SELECT public.schedule_now() + public.ahead_limit())
        ORDER BY result."timestamp" DESC, result.id DESC
        LIMIT 1
    ) AS newest
$$;

COMMENT ON FUNCTION public.latest_results(uuid[]) IS
    'The newest row of results of each model; none for a model without rows. version: another one after each change of the row.';


CREATE OR REPLACE FUNCTION public.late_after() RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN interval '30 seconds';

COMMENT ON FUNCTION public.late_after() IS
    'How long after its moment a pair of cron expression and time zone that is still to be sent counts as late.';


CALL pg_temp.define_view('public.schedule_status', $$
    SELECT
        schedule.model_id,
        schedule.name,
        schedule.cron_expression,
        schedule.timezone,
        schedule.enabled,
        CASE
            WHEN NOT schedule.enabled THEN 'paused'
            WHEN cron.error IS NOT NULL THEN 'error'
            WHEN cron.next_due_at IS NULL THEN 'new'
            WHEN cron.next_due_at > schedule.active_since
                AND cron.next_due_at < public.schedule_now() - public.late_after() THEN 'late'
            ELSE 'scheduled'
        END AS status,
        CASE WHEN schedule.enabled AND cron.next_due_at > schedule.active_since THEN cron.next_due_at END AS next_run_at,
        CASE WHEN schedule.enabled AND cron.last_due_at > schedule.active_since THEN cron.last_due_at END AS last_run_at,
        CASE WHEN schedule.enabled THEN cron.error END AS error,
        schedule.active_since,
        schedule.run_requested_at,
        schedule.created_at,
        schedule.updated_at,
        coalesce(schedule.run_requested_at, (
            SELECT max(request.requested_at) FROM public.run_requests AS request
            WHERE request.model_id = schedule.model_id
                AND request.requested_at > public.schedule_now() - interval '1 hour')) AS requested_run_at
    FROM public.metrics_executions AS schedule
    LEFT JOIN public.crons AS cron USING (cron_expression, timezone)
$$);

CALL pg_temp.describe('VIEW', 'public.schedule_status', 'Each schedule with what the scheduler knows of it.');
CALL pg_temp.describe('COLUMN', 'public.schedule_status.model_id', 'As in metrics_executions.');
CALL pg_temp.describe('COLUMN', 'public.schedule_status.name', 'As in metrics_executions.');
CALL pg_temp.describe('COLUMN', 'public.schedule_status.cron_expression', 'As in metrics_executions.');
CALL pg_temp.describe('COLUMN', 'public.schedule_status.timezone', 'As in metrics_executions.');
CALL pg_temp.describe('COLUMN', 'public.schedule_status.enabled', 'As in metrics_executions.');
CALL pg_temp.describe('COLUMN', 'public.schedule_status.status', 'scheduled; new: the scheduler has not seen it yet; late: its moment passed more than late_after() ago; paused; error: see error.');
CALL pg_temp.describe('COLUMN', 'public.schedule_status.next_run_at', 'The next moment; null when paused, in error, or not yet worked out.');
CALL pg_temp.describe('COLUMN', 'public.schedule_status.last_run_at', 'The last moment that was sent to the workers since the schedule became active.');
CALL pg_temp.describe('COLUMN', 'public.schedule_status.error', 'Why the scheduler cannot fire it.');
CALL pg_temp.describe('COLUMN', 'public.schedule_status.active_since', 'As in metrics_executions.');
CALL pg_temp.describe('COLUMN', 'public.schedule_status.run_requested_at', 'As in metrics_executions.');
CALL pg_temp.describe('COLUMN', 'public.schedule_status.created_at', 'As in metrics_executions.');
CALL pg_temp.describe('COLUMN', 'public.schedule_status.updated_at', 'As in metrics_executions.');
CALL pg_temp.describe('COLUMN', 'public.schedule_status.requested_run_at', 'The newest requested run, of the last hour if it was sent: the time of its result, which may be there already.');
