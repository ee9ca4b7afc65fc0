-- Roles of the services and of the users' own programs, with the least privileges each needs. Run every time: a restored
-- database has neither. Nothing changes, and nothing is waited for, where they exist.
-- An existing role stays unchanged: its creator decides on its password and options. The comment marks the roles that
-- this script has created; sql/apply.py sets the passwords of these only.

DO $$
DECLARE
    role record;
BEGIN
    FOR role IN
        SELECT * FROM (VALUES
            ('metrics_api',       'Cyclic Metrics: the REST API'),
            ('metrics_scheduler', 'Cyclic Metrics: the scheduler'),
            ('metrics_worker',    'Cyclic Metrics: the workers'),
            ('metrics_client',    'Cyclic Metrics: the users'' own programs')
        ) AS roles (name, comment)
    LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = role.name);
        BEGIN
            EXECUTE format('CREATE ROLE %I LOGIN', role.name);
            EXECUTE format('COMMENT ON ROLE %I IS %L', role.name, role.comment);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;  -- roles belong to the whole server: another of its databases is being set up at the same time
        END;
    END LOOP;
END;
$$;


-- Functions have PostgreSQL's default, EXECUTE for PUBLIC.

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
