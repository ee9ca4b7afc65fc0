-- Validation triggers of metrics_executions. A row trigger normalizes values and maintains the timestamps; a statement
-- trigger validates each distinct cron spec that the statement adds, once, and sends a notification.
-- The trigger writes no table: inserting into crons here would make concurrent users wait for each other.

CREATE OR REPLACE FUNCTION public.is_run_accepted(model_id uuid, requested_at timestamptz) RETURNS boolean
-- VOLATILE, to see rows that were committed since the statement began. SECURITY DEFINER: roles that write schedules
-- need no privilege to read the run requests of others.
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = '' AS $$
    SELECT EXISTS (
        SELECT FROM public.run_requests AS request
        WHERE request.model_id = is_run_accepted.model_id AND request.requested_at = is_run_accepted.requested_at)
$$;

COMMENT ON FUNCTION public.is_run_accepted(uuid, timestamptz) IS
    'True for a value of run_requested_at that the scheduler has accepted: it is published, or about to be.';


CREATE OR REPLACE FUNCTION public.is_run_pending(model_id uuid, requested_at timestamptz) RETURNS boolean
LANGUAGE sql VOLATILE AS $$
    SELECT requested_at BETWEEN '1971-01-01' AND public.schedule_now() + interval '1 minute'
        AND NOT public.is_run_accepted(model_id, requested_at)
$$;

COMMENT ON FUNCTION public.is_run_pending(uuid, timestamptz) IS
    'True for a value of run_requested_at that the scheduler has not yet accepted, but will.';


CREATE OR REPLACE FUNCTION public.new_run_request(model_id uuid) RETURNS timestamptz
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    -- The time identifies the request in messages and in Redis, which have a resolution of milliseconds.
    requested_at timestamptz := date_trunc('milliseconds', public.schedule_now());
BEGIN
    WHILE public.is_run_accepted(model_id, requested_at) LOOP
        requested_at := requested_at + interval '1 millisecond';
    END LOOP;
    RETURN requested_at;
END;
$$;

COMMENT ON FUNCTION public.new_run_request(uuid) IS
    'Time of a run that is requested now: the current time, or the next millisecond that no other request of the model has.';


CREATE OR REPLACE FUNCTION public.normalize_schedule() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    message text;
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.cron_expression := public.normalize_cron(NEW.cron_expression);
        NEW.active_since := public.schedule_now();
        NEW.created_at := NEW.active_since;
        NEW.updated_at := NEW.active_since;
    ELSE
        IF (NEW.cron_expression, NEW.timezone, NEW.enabled) IS DISTINCT FROM (OLD.cron_expression, OLD.timezone, OLD.enabled) THEN
            NEW.cron_expression := public.normalize_cron(NEW.cron_expression);
        END IF;
        -- A value that was set while the clock was ahead would suspend the schedule until then.
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
        -- Validated here: a text that is too long for the indexes would fail before the statement trigger runs.
        PERFORM public.check_schedules(ARRAY[NEW.cron_expression], ARRAY[NEW.timezone]);
    END IF;

    -- Only a new name is validated: a row that bypassed the triggers must not block other changes.
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
            OR public.is_run_accepted(NEW.model_id, NEW.run_requested_at) THEN
            -- The time of the pending request has been returned to a user, or a value that was read before is written
            -- back.
            NEW.run_requested_at := OLD.run_requested_at;
        ELSIF NEW.run_requested_at IS NOT NULL THEN
            NEW.run_requested_at := public.new_run_request(NEW.model_id);
        END IF;
    END IF;
    RETURN NEW;
END;
$$;

COMMENT ON FUNCTION public.normalize_schedule() IS
    'Row trigger: normalizes the cron expression, and sets active_since, created_at, updated_at and run_requested_at by '
    'schedule_now().';


-- A large import is grouped in memory: with PostgreSQL's default of 4 MB, 300,000 distinct specs would be sorted on
-- disk.
CREATE OR REPLACE FUNCTION public.validate_and_notify() RETURNS trigger
LANGUAGE plpgsql SET work_mem = '64MB' AS $$
DECLARE
    max_specs constant integer := 100;
    max_payload_bytes constant integer := 7900;  -- NOTIFY accepts less than 8,000
    cron_expressions text[];
    timezones text[];
    enabled_flags boolean[];
    requested boolean;
    pairs jsonb;
    payload text;
BEGIN
    IF TG_OP = 'INSERT' THEN
        SELECT array_agg(spec.cron_expression), array_agg(spec.timezone), array_agg(spec.enabled)
        INTO cron_expressions, timezones, enabled_flags
        FROM (SELECT new_rows.cron_expression, new_rows.timezone, bool_or(new_rows.enabled) AS enabled
              FROM new_rows GROUP BY new_rows.cron_expression, new_rows.timezone) AS spec;
        requested := EXISTS (SELECT FROM new_rows WHERE run_requested_at IS NOT NULL);
    ELSE
        -- Values of old rows have been validated and announced before, so an UPDATE of other columns has no specs.
        SELECT array_agg(spec.cron_expression), array_agg(spec.timezone), array_agg(spec.enabled)
        INTO cron_expressions, timezones, enabled_flags
        FROM (SELECT changed.cron_expression, changed.timezone, bool_or(changed.enabled) AS enabled
              FROM (SELECT new_rows.cron_expression, new_rows.timezone, new_rows.enabled FROM new_rows
                    EXCEPT SELECT old_rows.cron_expression, old_rows.timezone, old_rows.enabled FROM old_rows) AS changed
              GROUP BY changed.cron_expression, changed.timezone) AS spec;
        requested := EXISTS (SELECT model_id, run_requested_at FROM new_rows WHERE run_requested_at IS NOT NULL
                             EXCEPT SELECT model_id, run_requested_at FROM old_rows);
    END IF;

    IF cron_expressions IS NOT NULL THEN
        PERFORM public.check_schedules(cron_expressions, timezones);
    END IF;
    IF requested OR true = ANY (enabled_flags) THEN
        SELECT CASE WHEN count(*) <= max_specs
                    THEN coalesce(jsonb_agg(jsonb_build_array(spec.cron_expression, spec.timezone)), '[]') END INTO pairs
        FROM (SELECT changed.cron_expression, changed.timezone
              FROM unnest(cron_expressions, timezones, enabled_flags) AS changed (cron_expression, timezone, enabled)
              WHERE changed.enabled LIMIT max_specs + 1) AS spec;
        payload := jsonb_build_object('pairs', pairs, 'requested', requested)::text;
        IF octet_length(payload) > max_payload_bytes THEN
            payload := jsonb_build_object('pairs', NULL, 'requested', requested)::text;
        END IF;
        PERFORM pg_notify('metrics_executions', payload);
    END IF;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION public.validate_and_notify() IS
    'Statement trigger: rejects invalid cron specs, then notifies channel metrics_executions with {"pairs": ..., '
    '"requested": ...}: the enabled specs as [[cron_expression, timezone], ...], null if there are too many to list; and '
    'true if a run is requested.';


CREATE OR REPLACE TRIGGER normalize_schedule BEFORE INSERT OR UPDATE ON public.metrics_executions
    FOR EACH ROW EXECUTE FUNCTION public.normalize_schedule();

CREATE OR REPLACE TRIGGER validate_and_notify_insert AFTER INSERT ON public.metrics_executions
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION public.validate_and_notify();

CREATE OR REPLACE TRIGGER validate_and_notify_update AFTER UPDATE ON public.metrics_executions
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION public.validate_and_notify();
