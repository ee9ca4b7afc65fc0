-- Stable interface for readers: the tables behind these functions and this view may change.

-- Plain SQL, STABLE, without SECURITY DEFINER and without SET, so that the planner inlines it and the first row is
-- returned without delay.
CREATE OR REPLACE FUNCTION public.due_models(due_at timestamptz) RETURNS TABLE (model_id uuid)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT schedule.model_id
    FROM public.crons AS cron
    JOIN public.metrics_executions AS schedule USING (cron_expression, timezone)
    WHERE cron.next_due_at = due_models.due_at AND schedule.enabled AND schedule.active_since < due_models.due_at
$$;

COMMENT ON FUNCTION public.due_models(timestamptz) IS
    'Models that are due at this due time: enabled, and unchanged since before it.';


CREATE OR REPLACE FUNCTION public.late_after() RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN interval '30 seconds';

COMMENT ON FUNCTION public.late_after() IS
    'How long after its due time a cron spec that is not yet published counts as late.';


CREATE OR REPLACE VIEW public.schedule_status AS
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
LEFT JOIN public.crons AS cron USING (cron_expression, timezone);

COMMENT ON VIEW public.schedule_status IS
    'Each schedule with its status, its next and last due time and its error.';
COMMENT ON COLUMN public.schedule_status.model_id IS 'As in metrics_executions.';
COMMENT ON COLUMN public.schedule_status.name IS 'As in metrics_executions.';
COMMENT ON COLUMN public.schedule_status.cron_expression IS 'As in metrics_executions.';
COMMENT ON COLUMN public.schedule_status.timezone IS 'As in metrics_executions.';
COMMENT ON COLUMN public.schedule_status.enabled IS 'As in metrics_executions.';
COMMENT ON COLUMN public.schedule_status.status IS
    'scheduled; new: not yet processed by the scheduler; late: not published late_after() after its due time; paused; '
    'error: see error.';
COMMENT ON COLUMN public.schedule_status.next_run_at IS
    'Next due time; null if paused, in error or not yet computed.';
COMMENT ON COLUMN public.schedule_status.last_run_at IS
    'Last due time that was published to the workers since active_since.';
COMMENT ON COLUMN public.schedule_status.error IS 'Why the scheduler cannot compute its due times.';
COMMENT ON COLUMN public.schedule_status.active_since IS 'As in metrics_executions.';
COMMENT ON COLUMN public.schedule_status.run_requested_at IS 'As in metrics_executions.';
COMMENT ON COLUMN public.schedule_status.created_at IS 'As in metrics_executions.';
COMMENT ON COLUMN public.schedule_status.updated_at IS 'As in metrics_executions.';
COMMENT ON COLUMN public.schedule_status.requested_run_at IS
    'Time of the newest requested run, and of its result, which may exist already. A published one is listed for an '
    'hour.';
