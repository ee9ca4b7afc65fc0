-- The tables. metrics_executions and results are the users'; crons, fires and leader are the scheduler's, open to
-- anybody who wants to know what will happen next and what has happened.
-- CREATE INDEX locks its table even where IF NOT EXISTS finds nothing to do, hence the questions before it.

CREATE TABLE IF NOT EXISTS public.metrics_executions (
    id               bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT metrics_executions_pkey PRIMARY KEY,
    model_id         uuid NOT NULL CONSTRAINT metrics_executions_model_id_key UNIQUE,
    name             text,
    cron_expression  text COLLATE "C" NOT NULL,
    timezone         text COLLATE "C" NOT NULL DEFAULT 'UTC',
    enabled          boolean NOT NULL DEFAULT true,
    active_since     timestamptz NOT NULL DEFAULT public.schedule_now(),
    run_requested_at timestamptz,
    created_at       timestamptz NOT NULL DEFAULT public.schedule_now(),
    updated_at       timestamptz NOT NULL DEFAULT public.schedule_now()
);

CALL pg_temp.describe('TABLE', 'public.metrics_executions', 'One row per model: when its quality is calculated. Insert, update and delete it at will; what is committed before a moment counts for that moment.');
CALL pg_temp.describe('COLUMN', 'public.metrics_executions.id', 'Number of the row, given by the database.');
CALL pg_temp.describe('COLUMN', 'public.metrics_executions.model_id', 'The model, as in results.model_id. One schedule per model.');
CALL pg_temp.describe('COLUMN', 'public.metrics_executions.name', 'What people call the model; free text of at most 200 characters, or null.');
CALL pg_temp.describe('COLUMN', 'public.metrics_executions.cron_expression', 'When: minute hour day-of-month month day-of-week, or an alias such as @daily. Stored in lower case with single blanks.');
CALL pg_temp.describe('COLUMN', 'public.metrics_executions.timezone', 'The IANA zone whose wall clock the cron expression means; one of time_zones.');
CALL pg_temp.describe('COLUMN', 'public.metrics_executions.enabled', 'False pauses the schedule; the row and its results stay.');
CALL pg_temp.describe('COLUMN', 'public.metrics_executions.active_since', 'Set by a trigger when model_id, cron_expression, timezone or enabled change: the row counts for the moments after this time.');
CALL pg_temp.describe('COLUMN', 'public.metrics_executions.run_requested_at', 'Set it to now() to run the model at once, paused or not. A trigger replaces the value by the time of the request, which is the time of its result; a request that is not sent yet stands for later ones, and stays. The scheduler sets it to null some seconds after the run was sent. A value that was read and is written back is no new request.');
CALL pg_temp.describe('COLUMN', 'public.metrics_executions.created_at', 'When the row was inserted; kept by a trigger.');
CALL pg_temp.describe('COLUMN', 'public.metrics_executions.updated_at', 'When a user last changed the row; kept by a trigger.');


CREATE TABLE IF NOT EXISTS public.run_requests (
    model_id     uuid NOT NULL,
    requested_at timestamptz NOT NULL,
    delivered_at timestamptz,
    CONSTRAINT run_requests_pkey PRIMARY KEY (model_id, requested_at)
);

CALL pg_temp.describe('TABLE', 'public.run_requests', 'Values of metrics_executions.run_requested_at that the scheduler has taken over, each before it is sent; kept for a day. Only the scheduler writes it; the row trigger reads it.');
CALL pg_temp.describe('COLUMN', 'public.run_requests.model_id', 'As in metrics_executions.');
CALL pg_temp.describe('COLUMN', 'public.run_requests.requested_at', 'The time of the request, and of its result.');
CALL pg_temp.describe('COLUMN', 'public.run_requests.delivered_at', 'When the message had been in Redis for some seconds, which it survives; null before. A new leader sends those again that are null.');


CREATE OR REPLACE FUNCTION public.check_labels(y_true json, y_pred json) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    lengths integer[];
BEGIN
    IF json_typeof(y_true) <> 'array' THEN
        RAISE EXCEPTION 'y_true is a JSON %, not an array', json_typeof(y_true)
            USING ERRCODE = 'check_violation', HINT = 'Write the labels as a JSON array, such as [0, 1, 1].', COLUMN = 'y_true';
    ELSIF json_typeof(y_pred) <> 'array' THEN
        RAISE EXCEPTION 'y_pred is a JSON %, not an array', json_typeof(y_pred)
            USING ERRCODE = 'check_violation', HINT = 'Write the labels as a JSON array, such as [0, 1, 1].', COLUMN = 'y_pred';
    END IF;
    lengths := ARRAY[json_array_length(y_true), json_array_length(y_pred)];
    IF lengths[1] <> lengths[2] THEN
        RAISE EXCEPTION 'y_true has % labels and y_pred has %', lengths[1], lengths[2]
            USING ERRCODE = 'check_violation', HINT = 'Write one predicted label for each true label, in the same order.', COLUMN = 'y_pred';
    END IF;
    RETURN true;
END;
$$;

COMMENT ON FUNCTION public.check_labels(json, json) IS
    'Raises 23514 for labels that can never be scored: not arrays, or of different lengths. Nulls are left to NOT NULL.';


CREATE TABLE IF NOT EXISTS public.results (
    id          bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT results_pkey PRIMARY KEY,
    model_id    uuid NOT NULL,
    y_true      json NOT NULL,
    y_pred      json NOT NULL,
    "timestamp" timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT results_labels_check CHECK (public.check_labels(y_true, y_pred))
);

CALL pg_temp.describe('TABLE', 'public.results', 'What models predicted and what was true, logged by the users'' programs. The newest row of a model is the one that is scored.');
CALL pg_temp.describe('COLUMN', 'public.results.id', 'Number of the row, given by the database; of two rows with one timestamp the higher id is newer.');
CALL pg_temp.describe('COLUMN', 'public.results.model_id', 'The model, as in metrics_executions.model_id; it needs no schedule.');
CALL pg_temp.describe('COLUMN', 'public.results.y_true', 'True labels: a JSON array of strings, booleans or whole numbers, all of one kind.');
CALL pg_temp.describe('COLUMN', 'public.results.y_pred', 'Predicted labels: a JSON array as long as y_true, in the same order.');
CALL pg_temp.describe('COLUMN', 'public.results."timestamp"', 'When the predictions were made. More than 5 minutes ahead of the clock: does not count until then.');


CREATE TABLE IF NOT EXISTS public.crons (
    cron_expression text COLLATE "C" NOT NULL,
    timezone        text COLLATE "C" NOT NULL,
    next_due_at     timestamptz,
    last_due_at     timestamptz,
    error           text,
    tzdata_version  text NOT NULL,
    CONSTRAINT crons_pkey PRIMARY KEY (cron_expression, timezone)
);

CALL pg_temp.describe('TABLE', 'public.crons', 'The scheduler''s memory: each distinct pair of cron expression and time zone in use, and when it is due. Only the scheduler writes it.');
CALL pg_temp.describe('COLUMN', 'public.crons.cron_expression', 'As in metrics_executions.');
CALL pg_temp.describe('COLUMN', 'public.crons.timezone', 'As in metrics_executions.');
CALL pg_temp.describe('COLUMN', 'public.crons.next_due_at', 'The next moment; in the past, it is late and still to be sent. Null when the pair has an error.');
CALL pg_temp.describe('COLUMN', 'public.crons.last_due_at', 'The last moment that was sent to the workers; null before the first.');
CALL pg_temp.describe('COLUMN', 'public.crons.error', 'Why the scheduler cannot fire this pair; null when it can.');
CALL pg_temp.describe('COLUMN', 'public.crons.tzdata_version', 'The time-zone data that next_due_at was worked out with.');


CREATE TABLE IF NOT EXISTS public.fires (
    due_at      timestamptz CONSTRAINT fires_pkey PRIMARY KEY,
    fired_at    timestamptz,
    finished_at timestamptz,
    crons       bigint NOT NULL DEFAULT 0,
    models      bigint NOT NULL DEFAULT 0,
    messages    bigint NOT NULL DEFAULT 0,
    skipped     bigint NOT NULL DEFAULT 0,
    leader      text NOT NULL
);

DO $$
BEGIN
    -- Asked first, as for the indexes: ALTER TABLE locks its table even where IF NOT EXISTS finds nothing to do.
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid = 'public.fires'::regclass AND attname = 'lag') THEN
        ALTER TABLE public.fires
            ADD COLUMN lag interval GENERATED ALWAYS AS (fired_at - due_at) STORED,
            ADD COLUMN duration interval GENERATED ALWAYS AS (finished_at - fired_at) STORED;
    END IF;
END;
$$;

CALL pg_temp.describe('TABLE', 'public.fires', 'A log, one row per moment: how late, how long, how many. When Redis has lost its last messages, it says which. Old rows are deleted (FIRES_RETENTION).');
CALL pg_temp.describe('COLUMN', 'public.fires.due_at', 'The moment that the cron expressions name.');
CALL pg_temp.describe('COLUMN', 'public.fires.fired_at', 'When sending began, the first time. Null when the moment was only counted as skipped.');
CALL pg_temp.describe('COLUMN', 'public.fires.finished_at', 'When the last message was in Redis, the last time.');
CALL pg_temp.describe('COLUMN', 'public.fires.crons', 'Pairs of cron expression and time zone that were due.');
CALL pg_temp.describe('COLUMN', 'public.fires.models', 'Models that were due.');
CALL pg_temp.describe('COLUMN', 'public.fires.messages', 'Messages sent to the workers.');
CALL pg_temp.describe('COLUMN', 'public.fires.skipped', 'Earlier moments, counted per pair, that an outage left unsent and that this one stands for.');
CALL pg_temp.describe('COLUMN', 'public.fires.leader', 'The scheduler that sent it last.');
CALL pg_temp.describe('COLUMN', 'public.fires.lag', 'How late sending began: fired_at less due_at. Null when the moment was only counted as skipped.');
CALL pg_temp.describe('COLUMN', 'public.fires.duration', 'How long sending took: finished_at less fired_at. Of a moment that was sent more than once, from the first beginning to the last end.');


CREATE TABLE IF NOT EXISTS public.retired_fires (
    singleton boolean NOT NULL DEFAULT true
        CONSTRAINT retired_fires_pkey PRIMARY KEY CONSTRAINT retired_fires_is_one_row CHECK (singleton),
    fires     bigint NOT NULL DEFAULT 0,
    models    bigint NOT NULL DEFAULT 0,
    messages  bigint NOT NULL DEFAULT 0,
    skipped   bigint NOT NULL DEFAULT 0
);

INSERT INTO public.retired_fires DEFAULT VALUES ON CONFLICT DO NOTHING;

CALL pg_temp.describe('TABLE', 'public.retired_fires', 'One row: sums over the rows of fires that the scheduler has deleted. With those over the rows that are there, they never go down.');
CALL pg_temp.describe('COLUMN', 'public.retired_fires.singleton', 'Always true: there is one row.');
CALL pg_temp.describe('COLUMN', 'public.retired_fires.fires', 'Moments that were sent: rows with fired_at.');
CALL pg_temp.describe('COLUMN', 'public.retired_fires.models', 'Sum of fires.models.');
CALL pg_temp.describe('COLUMN', 'public.retired_fires.messages', 'Sum of fires.messages.');
CALL pg_temp.describe('COLUMN', 'public.retired_fires.skipped', 'Sum of fires.skipped.');


CREATE TABLE IF NOT EXISTS public.leader (
    singleton boolean NOT NULL DEFAULT true CONSTRAINT leader_pkey PRIMARY KEY CONSTRAINT leader_is_one_row CHECK (singleton),
    name      text,
    since     timestamptz,
    looked_at timestamptz,
    error     text
);

INSERT INTO public.leader DEFAULT VALUES ON CONFLICT DO NOTHING;

CALL pg_temp.describe('TABLE', 'public.leader', 'One row: which scheduler leads. Standbys are not listed.');
CALL pg_temp.describe('COLUMN', 'public.leader.singleton', 'Always true: there is one row.');
CALL pg_temp.describe('COLUMN', 'public.leader.name', 'Host and process of the leader; null before the first one.');
CALL pg_temp.describe('COLUMN', 'public.leader.since', 'When it took over.');
CALL pg_temp.describe('COLUMN', 'public.leader.looked_at', 'When it last looked for due moments; it does so every few seconds.');
CALL pg_temp.describe('COLUMN', 'public.leader.error', 'What keeps it from sending at present; null when nothing does.');


DO $$
BEGIN
    IF to_regclass('public.metrics_executions_enabled') IS NULL THEN
        -- Finds the models of a due pair, and the distinct pairs, without touching the table.
        CREATE INDEX metrics_executions_enabled ON public.metrics_executions (cron_expression, timezone, model_id)
            INCLUDE (active_since) WHERE enabled;
    END IF;
    -- The API lists schedules page by page: those that are paused, and those of a zone.
    IF to_regclass('public.metrics_executions_paused') IS NULL THEN
        CREATE INDEX metrics_executions_paused ON public.metrics_executions (cron_expression, timezone, model_id)
            WHERE NOT enabled;
    END IF;
    IF to_regclass('public.metrics_executions_zone') IS NULL THEN
        CREATE INDEX metrics_executions_zone ON public.metrics_executions (timezone, enabled, cron_expression, model_id);
    END IF;
    -- A search for part of a name reads all names, and nothing else.
    IF to_regclass('public.metrics_executions_named') IS NULL THEN
        CREATE INDEX metrics_executions_named ON public.metrics_executions (model_id) INCLUDE (name) WHERE name IS NOT NULL;
    END IF;
    IF to_regclass('public.metrics_executions_run_requested') IS NULL THEN
        CREATE INDEX metrics_executions_run_requested ON public.metrics_executions (run_requested_at)
            WHERE run_requested_at IS NOT NULL;
    END IF;
    IF to_regclass('public.run_requests_delivered') IS NULL THEN
        CREATE INDEX run_requests_delivered ON public.run_requests (delivered_at);
    END IF;
    IF to_regclass('public.results_newest') IS NULL THEN
        CREATE INDEX results_newest ON public.results (model_id, "timestamp" DESC, id DESC);
    END IF;
    IF to_regclass('public.crons_next_due') IS NULL THEN
        CREATE INDEX crons_next_due ON public.crons (next_due_at);
    END IF;
    IF to_regclass('public.crons_last_due') IS NULL THEN
        CREATE INDEX crons_last_due ON public.crons (last_due_at);
    END IF;
    IF to_regclass('public.crons_error') IS NULL THEN
        CREATE INDEX crons_error ON public.crons (cron_expression, timezone) WHERE error IS NOT NULL;
    END IF;
END;
$$;
