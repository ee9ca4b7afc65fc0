-- Stable interface for readers: the tables behind these functions and this view may change.
-- The two set-returning functions are plain SQL, STABLE, without SECURITY DEFINER and without SET, so that the planner
-- inlines them and the first row is returned without delay.

CREATE OR REPLACE FUNCTION public.due_models(due_at timestamptz) RETURNS TABLE (model_id uuid)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT schedule.model_id
    FROM public.crons AS cron
    JOIN public.metrics_executions AS schedule USING (cron_expression, timezone)
    WHERE cron.next_due_at = due_models.due_at AND schedule.enabled AND schedule.active_since < due_models.due_at
$$;

COMMENT ON FUNCTION public.due_models(timestamptz) IS
    'Models that are due at this due time: enabled, and unchanged since before it.';


CREATE OR REPLACE FUNCTION public.max_clock_skew() RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN interval '5 minutes';

COMMENT ON FUNCTION public.max_clock_skew() IS
    'How far the timestamp of a label row may be ahead of the clock; a row further ahead is ignored until it is within '
    'this limit.';


CREATE OR REPLACE FUNCTION public.newest_label_rows(model_ids uuid[])
RETURNS TABLE (model_id uuid, id bigint, y_true json, y_pred json, "timestamp" timestamptz, version text)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT newest.model_id, newest.id, newest.y_true, newest.y_pred, newest."timestamp", newest.xmin::text
    FROM unnest(newest_label_rows.model_ids) AS model (model_id)
    CROSS JOIN LATERAL (
        SELECT label_row.*, label_row.xmin FROM public.results AS label_row
        WHERE label_row.model_id = model.model_id
            -- otherwise a row of a program whose clock is ahead would stay the newest one
            AND label_row."timestamp" <= (SELECT public.schedule_now() + public.max_clock_skew())
        ORDER BY label_row."timestamp" DESC, label_row.id DESC
        LIMIT 1
    ) AS newest
$$;

COMMENT ON FUNCTION public.newest_label_rows(uuid[]) IS
    'The newest label row of each model (table results); no row for a model without label rows. version changes with every '
    'change of the row.';


CREATE OR REPLACE FUNCTION public.late_after() RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN interval '30 seconds';

COMMENT ON FUNCTION public.late_after() IS
    'How long after its due time a cron spec that is not yet published counts as late.';


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

CALL pg_temp.describe('VIEW', 'public.schedule_status',
    'Each schedule with its status, its next and last due time and its error.');
CALL pg_temp.describe('COLUMN', 'public.schedule_status.model_id', 'As in metrics_executions.');
CALL pg_temp.describe('COLUMN', 'public.schedule_status.name', 'As in metrics_executions.');
CALL pg_temp.describe('COLUMN', 'public.schedule_status.cron_expression', 'As in metrics_executions.');
CALL pg_temp.describe('COLUMN', 'public.schedule_status.timezone', 'As in metrics_executions.');
CALL pg_temp.describe('COLUMN', 'public.schedule_status.enabled', 'As in metrics_executions.');
CALL pg_temp.describe('COLUMN', 'public.schedule_status.status',
    'scheduled; new: not yet processed by the scheduler; late: not published late_after() after its due time; paused; '
    'error: see error.');
CALL pg_temp.describe('COLUMN', 'public.schedule_status.next_run_at',
    'Next due time; null if paused, in error or not yet computed.');
CALL pg_temp.describe('COLUMN', 'public.schedule_status.last_run_at',
    'Last due time that was published to the workers since active_since.');
CALL pg_temp.describe('COLUMN', 'public.schedule_status.error', 'Why the scheduler cannot compute its due times.');
CALL pg_temp.describe('COLUMN', 'public.schedule_status.active_since', 'As in metrics_executions.');
CALL pg_temp.describe('COLUMN', 'public.schedule_status.run_requested_at', 'As in metrics_executions.');
CALL pg_temp.describe('COLUMN', 'public.schedule_status.created_at', 'As in metrics_executions.');
CALL pg_temp.describe('COLUMN', 'public.schedule_status.updated_at', 'As in metrics_executions.');
CALL pg_temp.describe('COLUMN', 'public.schedule_status.requested_run_at',
    'Time of the newest requested run, and of its result, which may exist already. A published one is listed for an '
    'hour.');
