-- What each role may do: the least that its service needs. Functions may be called by everybody, as PostgreSQL has it.

GRANT USAGE ON SCHEMA public TO metrics_api, metrics_scheduler, metrics_worker, metrics_client;

-- Any role that writes schedules passes the triggers, which look up time zones.
GRANT SELECT ON public.time_zones TO PUBLIC;

GRANT SELECT, INSERT, UPDATE, DELETE ON public.metrics_executions TO metrics_api;
GRANT SELECT ON public.crons, public.fires, public.retired_fires, public.leader, public.schedule_status TO metrics_api;

GRANT SELECT, UPDATE (run_requested_at) ON public.metrics_executions TO metrics_scheduler;
GRANT SELECT, INSERT, UPDATE, DELETE ON public.crons, public.fires, public.run_requests TO metrics_scheduler;
GRANT SELECT, UPDATE ON public.leader, public.retired_fires TO metrics_scheduler;
-- For RESULTS_RETENTION; not the labels. SKIP LOCKED wants a right to update something, and an id cannot be chosen.
GRANT SELECT (id, model_id, "timestamp"), UPDATE (id), DELETE ON public.results TO metrics_scheduler;

GRANT SELECT ON public.metrics_executions, public.results TO metrics_worker;

GRANT SELECT, INSERT, UPDATE, DELETE ON public.metrics_executions TO metrics_client;
GRANT SELECT, INSERT ON public.results TO metrics_client;
GRANT SELECT ON public.crons, public.fires, public.leader, public.schedule_status TO metrics_client;
