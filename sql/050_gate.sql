-- The gate and the herald of metrics_executions. A row trigger brings values into their normal form and keeps the
-- times; a statement trigger checks each distinct pair that the statement brought, once, and announces it.
-- Announcing writes no table: pairs inserted into crons from here would make the users wait for each other.

CREATE OR REPLACE FUNCTION public.is_run_taken_over(model_id uuid, requested_at timestamptz) RETURNS boolean
-- VOLATILE: it sees what was committed since the statement began. SECURITY DEFINER: the role that writes a schedule need
-- not be able to read which models others have run.
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = '' AS $$
    SELECT EXISTS (
        SELECT FROM public.run_requests AS request
        WHERE request.model_id = is_run_taken_over.model_id AND request.requested_at = is_run_taken_over.requested_at)
$$;

COMMENT ON FUNCTION public.is_run_taken_over(uuid, timestamptz) IS
    'True for a value of run_requested_at that the scheduler has sent, or is about to send.';


CREATE OR REPLACE FUNCTION public.is_run_pending(model_id uuid, requested_at timestamptz) RETURNS boolean
LANGUAGE sql VOLATILE AS $$
    SELECT requested_at BETWEEN '1971-01-01' AND public.schedule_now() + interval '1 minute'
        AND NOT public.is_run_taken_over(model_id, requested_at)
$$;

COMMENT ON FUNCTION public.is_run_pending(uuid, timestamptz) IS
    'True for a value of run_requested_at that the scheduler will take over: a request that no message was made of yet.';


CREATE OR REPLACE FUNCTION public.new_run_request(model_id uuid) RETURNS timestamptz
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    -- The request is known by its time, in messages and in Redis, which count milliseconds.
    requested_at timestamptz := date_trunc('milliseconds', public.schedule_now());
BEGIN
    WHILE public.is_run_taken_over(model_id, requested_at) LOOP
        requested_at := requested_at + interval '1 millisecond';
    END LOOP;
    RETURN requested_at;
END;
$$;

COMMENT ON FUNCTION public.new_run_request(uuid) IS
    'The time of a run that is requested now: that of the clock, or the first one after it that no request of the model has.';


CREATE OR REPLACE FUNCTION public.normalise_schedule() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    message text;
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.cron_expression := public.normal_cron(NEW.cron_expression);
        NEW.active_since := public.schedule_now();
        NEW.created_at := NEW.active_since;
        NEW.updated_at := NEW.active_since;
    ELSE
        IF (NEW.cron_expression, NEW.timezone, NEW.enabled) IS DISTINCT FROM (OLD.cron_expression, OLD.timezone, OLD.enabled) THEN
            NEW.cron_expression := public.normal_cron(NEW.cron_expression);
        END IF;
        -- Not ahead of the clock, as one is that was set while the clock was ahead: it would not count until then.
        NEW.active_since := least(OLD.active_since, public.schedule_now());
        NEW.created_at := OLD.created_at;
        NEW.updated_at := OLD.updated_at;
        IF (NEW.model_id, NEW.cron_expression, NEW.timezone, NEW.enabled)
            IS DISTINCT FROM (OLD.model_id, OLD.cron_expression, OLD.timezone, OLD.enabled) THEN
            NEW.active_since := public.schedule_now();
            NEW.updated_at := NEW.active_since;
        ELSIF NEW.name IS DISTINCT FROM OLD.name THEN
            NEW.updated_at := public.schedule_now();
        END IF;
    END IF;

    IF greatest(octet_length(NEW.cron_expression), octet_length(NEW.timezone)) > 512
        AND (TG_OP = 'INSERT' OR (NEW.cron_expression, NEW.timezone) IS DISTINCT FROM (OLD.cron_expression, OLD.timezone)) THEN
        -- Judged here already: a text that is too long for the indexes would end the statement before its trigger.
        PERFORM public.check_schedules(ARRAY[NEW.cron_expression], ARRAY[NEW.timezone]);
    END IF;

    -- Asked only of a new name: a row that got past the triggers must not refuse other changes.
    IF TG_OP = 'INSERT' OR NEW.name IS DISTINCT FROM OLD.name THEN
        message := public.name_problem(NEW.name);
    END IF;
    IF message IS NOT NULL THEN
        RAISE EXCEPTION '%', message
            USING ERRCODE = 'check_violation', HINT = 'Write at most 200 characters.',
                  SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, COLUMN = 'name';
    END IF;

    IF TG_OP = 'INSERT' AND NEW.run_requested_at IS NOT NULL THEN
        NEW.run_requested_at := public.new_run_request(NEW.model_id);
    ELSIF TG_OP = 'UPDATE' AND NEW.run_requested_at IS DISTINCT FROM OLD.run_requested_at THEN
        IF public.is_run_pending(OLD.model_id, OLD.run_requested_at)
            OR public.is_run_taken_over(NEW.model_id, NEW.run_requested_at) THEN
            -- A user was given the time of the request that waits, or a value is written back that was read earlier.
            NEW.run_requested_at := OLD.run_requested_at;
        ELSIF NEW.run_requested_at IS NOT NULL THEN
            NEW.run_requested_at := public.new_run_request(NEW.model_id);
        END IF;
    END IF;
    RETURN NEW;
END;
$$;

COMMENT ON FUNCTION public.normalise_schedule() IS
    'Row trigger: normal form of the cron expression, active_since, created_at, updated_at and run_requested_at by the clock of schedule_now().';


-- A large import is grouped in memory: with PostgreSQL's 4 MB, 300,000 distinct pairs are sorted on disk.
CREATE OR REPLACE FUNCTION public.check_and_announce() RETURNS trigger
LANGUAGE plpgsql SET work_mem = '64MB' AS $$
DECLARE
    most_pairs constant integer := 100;
    most_bytes constant integer := 7900;  -- NOTIFY carries less than 8,000
    crons text[];
    zones text[];
    enabled boolean[];
    requested boolean;
    pairs jsonb;
    payload text;
BEGIN
    IF TG_OP = 'INSERT' THEN
        SELECT array_agg(pair.cron_expression), array_agg(pair.timezone), array_agg(pair.enabled) INTO crons, zones, enabled
        FROM (SELECT brought.cron_expression, brought.timezone, bool_or(brought.enabled) AS enabled
              FROM new_rows AS brought GROUP BY brought.cron_expression, brought.timezone) AS pair;
        requested := EXISTS (SELECT FROM new_rows WHERE run_requested_at IS NOT NULL);
    ELSE
        -- What old rows had is checked and announced already, so an UPDATE of other columns brings nothing.
        SELECT array_agg(pair.cron_expression), array_agg(pair.timezone), array_agg(pair.enabled) INTO crons, zones, enabled
        FROM (SELECT brought.cron_expression, brought.timezone, bool_or(brought.enabled) AS enabled
              FROM (SELECT new_rows.cron_expression, new_rows.timezone, new_rows.enabled FROM new_rows
                    EXCEPT SELECT old_rows.cron_expression, old_rows.timezone, old_rows.enabled FROM old_rows) AS brought
              GROUP BY brought.cron_expression, brought.timezone) AS pair;
        requested := EXISTS (SELECT model_id, run_requested_at FROM new_rows WHERE run_requested_at IS NOT NULL
                             EXCEPT SELECT model_id, run_requested_at FROM old_rows);
    END IF;

    IF crons IS NOT NULL THEN
        PERFORM public.check_schedules(crons, zones);
    END IF;
    IF requested OR true = ANY (enabled) THEN
        SELECT CASE WHEN count(*) <= most_pairs
                    THEN coalesce(jsonb_agg(jsonb_build_array(pair.cron_expression, pair.timezone)), '[]') END INTO pairs
        FROM (SELECT brought.cron_expression, brought.timezone
              FROM unnest(crons, zones, enabled) AS brought (cron_expression, timezone, enabled)
              WHERE brought.enabled LIMIT most_pairs + 1) AS pair;
        payload := jsonb_build_object('pairs', pairs, 'requested', requested)::text;
        IF octet_length(payload) > most_bytes THEN
            payload := jsonb_build_object('pairs', NULL, 'requested', requested)::text;
        END IF;
        PERFORM pg_notify('metrics_executions', payload);
    END IF;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION public.check_and_announce() IS
    'Statement trigger: refuses what the scheduler cannot fire, then notifies channel metrics_executions with {"pairs": [[cron, zone], ...] or null for "many, look yourself", "requested": whether a run was asked for}.';


DO $$
DECLARE
    present text[] := ARRAY(
        SELECT tgname FROM pg_catalog.pg_trigger WHERE tgrelid = 'public.metrics_executions'::regclass AND NOT tgisinternal);
BEGIN
    IF NOT 'normalise_schedule' = ANY (present) THEN
        CREATE TRIGGER normalise_schedule BEFORE INSERT OR UPDATE ON public.metrics_executions
            FOR EACH ROW EXECUTE FUNCTION public.normalise_schedule();
    END IF;
    IF NOT 'check_and_announce_insert' = ANY (present) THEN
        CREATE TRIGGER check_and_announce_insert AFTER INSERT ON public.metrics_executions
            REFERENCING NEW TABLE AS new_rows
            FOR EACH STATEMENT EXECUTE FUNCTION public.check_and_announce();
    END IF;
    IF NOT 'check_and_announce_update' = ANY (present) THEN
        CREATE TRIGGER check_and_announce_update AFTER UPDATE ON public.metrics_executions
            REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
            FOR EACH STATEMENT EXECUTE FUNCTION public.check_and_announce();
    END IF;
END;
$$;

-- Of an earlier version.
DROP FUNCTION IF EXISTS public.check_schedule(text, text);
