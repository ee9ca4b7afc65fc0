-- Privileges of each role: the least that its service needs. Functions have PostgreSQL's default, EXECUTE for PUBLIC.

GRANT USAGE ON SCHEMA public TO metrics_api, metrics_scheduler, metrics_worker, metrics_client;

-- Needed by every role that writes schedules: the validation trigger looks up time zones.
GRANT SELECT ON public.time_zones TO PUBLIC;

GRANT SELECT, INSERT, UPDATE, DELETE ON public.metrics_executions TO metrics_api;
GRANT SELECT ON public.crons, public.fires, public.retired_fires, public.leader, public.schedule_status TO metrics_api;

GRANT SELECT, UPDATE (run_requested_at) ON public.metrics_executions TO metrics_scheduler;
GRANT SELECT, INSERT, UPDATE, DELETE ON public.crons, public.fires, public.run_requests TO metrics_scheduler;
GRANT SELECT, UPDATE ON public.leader, public.retired_fires TO metrics_scheduler;
-- For RESULTS_RETENTION, without the labels. SKIP LOCKED requires UPDATE on some column; id, an identity column
-- GENERATED ALWAYS, cannot be set to a chosen value.
GRANT SELECT (id, model_id, "timestamp"), UPDATE (id), DELETE ON public.results TO metrics_scheduler;

GRANT SELECT ON public.metrics_executions, public.results TO metrics_worker;

GRANT SELECT, INSERT, UPDATE, DELETE ON public.metrics_executions TO metrics_client;
GRANT SELECT, INSERT ON public.results TO metrics_client;
GRANT SELECT ON public.crons, public.fires, public.leader, public.schedule_status TO metrics_client;
