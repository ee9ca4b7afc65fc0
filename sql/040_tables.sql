-- Tables. metrics_executions and results are written by the users; crons, fires and leader by the scheduler, and can
-- be read by everyone, to see what is due next and what was published. CREATE INDEX IF NOT EXISTS locks the table even
-- if the index exists, hence the checks before it.

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

CALL pg_temp.describe('TABLE', 'public.metrics_executions',
    'The schedules: one row per model, with the cron spec of its runs. Users insert, update and delete rows at any '
    'time; a change that is committed before a due time applies to it.');
CALL pg_temp.describe('COLUMN', 'public.metrics_executions.id', 'Row number, generated.');
CALL pg_temp.describe('COLUMN', 'public.metrics_executions.model_id',
    'The model, as in results.model_id. One schedule per model.');
CALL pg_temp.describe('COLUMN', 'public.metrics_executions.name',
    'Display name of the model: free text of at most 200 characters, or null.');
CALL pg_temp.describe('COLUMN', 'public.metrics_executions.cron_expression',
    'Five fields (minute hour day-of-month month day-of-week) or an alias such as @daily. Stored in lower case with '
    'single blanks.');
CALL pg_temp.describe('COLUMN', 'public.metrics_executions.timezone',
    'IANA time zone in which the cron expression is evaluated; one of time_zones.');
CALL pg_temp.describe('COLUMN', 'public.metrics_executions.enabled',
    'False pauses the schedule; the row and its results are kept.');
CALL pg_temp.describe('COLUMN', 'public.metrics_executions.active_since',
    'Set by a trigger when model_id, cron_expression, timezone or enabled change: the schedule runs at due times after '
    'this one.');
CALL pg_temp.describe('COLUMN', 'public.metrics_executions.run_requested_at',
    'Set to now() to run the model immediately, paused or not. A trigger replaces the value by the time of the '
    'request, which is the time of its result. While a request is not yet published, further requests are merged into '
    'it. The scheduler sets the column to null some seconds after publishing the run. Writing back a value that was '
    'read before is no new request.');
CALL pg_temp.describe('COLUMN', 'public.metrics_executions.created_at', 'Time of the insert; maintained by a trigger.');
CALL pg_temp.describe('COLUMN', 'public.metrics_executions.updated_at',
    'Time of the last change by a user; maintained by a trigger.');


CREATE TABLE IF NOT EXISTS public.run_requests (
    model_id     uuid NOT NULL,
    requested_at timestamptz NOT NULL,
    delivered_at timestamptz,
    CONSTRAINT run_requests_pkey PRIMARY KEY (model_id, requested_at)
);

CALL pg_temp.describe('TABLE', 'public.run_requests',
    'Values of metrics_executions.run_requested_at that the scheduler has accepted, recorded before they are published '
    'and kept for a day. Written by the scheduler only; read by the row trigger.');
CALL pg_temp.describe('COLUMN', 'public.run_requests.model_id', 'As in metrics_executions.');
CALL pg_temp.describe('COLUMN', 'public.run_requests.requested_at', 'Time of the request and of its result.');
CALL pg_temp.describe('COLUMN', 'public.run_requests.delivered_at',
    'When the message had been in Redis for some seconds, after which Redis has persisted it; null before. A new '
    'leader publishes the requests without it again.');


CREATE OR REPLACE FUNCTION public.check_labels(y_true json, y_pred json) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    lengths integer[];
BEGIN
    IF json_typeof(y_true) <> 'array' THEN
        RAISE EXCEPTION 'y_true is a JSON %, not an array', json_typeof(y_true)
            USING ERRCODE = 'check_violation', HINT = 'Write the labels as a JSON array, such as [0, 1, 1].',
                  COLUMN = 'y_true';
    ELSIF json_typeof(y_pred) <> 'array' THEN
        RAISE EXCEPTION 'y_pred is a JSON %, not an array', json_typeof(y_pred)
            USING ERRCODE = 'check_violation', HINT = 'Write the labels as a JSON array, such as [0, 1, 1].',
                  COLUMN = 'y_pred';
    END IF;
    lengths := ARRAY[json_array_length(y_true), json_array_length(y_pred)];
    IF lengths[1] <> lengths[2] THEN
        RAISE EXCEPTION 'y_true has % labels and y_pred has %', lengths[1], lengths[2]
            USING ERRCODE = 'check_violation', HINT = 'Write one predicted label for each true label, in the same order.',
                  COLUMN = 'y_pred';
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

CALL pg_temp.describe('TABLE', 'public.results',
    'The label rows: true labels and predictions of the models, inserted by the users'' programs. The newest row of a '
    'model is scored.');
CALL pg_temp.describe('COLUMN', 'public.results.id',
    'Row number, generated; of two rows with the same timestamp, the one with the higher id is newer.');
CALL pg_temp.describe('COLUMN', 'public.results.model_id',
    'The model, as in metrics_executions.model_id; a schedule is not required.');
CALL pg_temp.describe('COLUMN', 'public.results.y_true',
    'True labels: a JSON array of strings, booleans or integers, all of one type.');
CALL pg_temp.describe('COLUMN', 'public.results.y_pred',
    'Predicted labels: a JSON array of the same length as y_true, in the same order.');
CALL pg_temp.describe('COLUMN', 'public.results."timestamp"',
    'Time of the predictions. A row that is more than 5 minutes ahead of the clock is ignored until the clock is '
    'within 5 minutes of it.');


CREATE TABLE IF NOT EXISTS public.crons (
    cron_expression text COLLATE "C" NOT NULL,
    timezone        text COLLATE "C" NOT NULL,
    next_due_at     timestamptz,
    last_due_at     timestamptz,
    error           text,
    tzdata_version  text NOT NULL,
    CONSTRAINT crons_pkey PRIMARY KEY (cron_expression, timezone)
);

CALL pg_temp.describe('TABLE', 'public.crons',
    'State of the scheduler: each distinct cron spec (cron expression and time zone) in use, with its due times. '
    'Written by the scheduler only.');
CALL pg_temp.describe('COLUMN', 'public.crons.cron_expression', 'As in metrics_executions.');
CALL pg_temp.describe('COLUMN', 'public.crons.timezone', 'As in metrics_executions.');
CALL pg_temp.describe('COLUMN', 'public.crons.next_due_at',
    'Next due time; if in the past, it is late and still to be published. Null if the cron spec has an error.');
CALL pg_temp.describe('COLUMN', 'public.crons.last_due_at',
    'Last due time that was published to the workers; null before the first.');
CALL pg_temp.describe('COLUMN', 'public.crons.error',
    'Why the scheduler cannot compute a due time for this cron spec; null if it can.');
CALL pg_temp.describe('COLUMN', 'public.crons.tzdata_version',
    'Version of the time-zone data from which next_due_at was computed.');


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
    -- Checked first, as for the indexes: ALTER TABLE locks the table even if the columns exist.
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid = 'public.fires'::regclass AND attname = 'lag') THEN
        ALTER TABLE public.fires
            ADD COLUMN lag interval GENERATED ALWAYS AS (fired_at - due_at) STORED,
            ADD COLUMN duration interval GENERATED ALWAYS AS (finished_at - fired_at) STORED;
    END IF;
END;
$$;

CALL pg_temp.describe('TABLE', 'public.fires',
    'Log of the fires, one row per due time: lag, duration and counts. After a loss of data in Redis, it names the '
    'messages to publish again. Old rows are deleted (FIRES_RETENTION).');
CALL pg_temp.describe('COLUMN', 'public.fires.due_at', 'The due time.');
CALL pg_temp.describe('COLUMN', 'public.fires.fired_at',
    'When publishing began, the first time. Null if the due time was only counted as skipped.');
CALL pg_temp.describe('COLUMN', 'public.fires.finished_at', 'When the last message was in Redis, the last time.');
CALL pg_temp.describe('COLUMN', 'public.fires.crons', 'Number of cron specs that were due.');
CALL pg_temp.describe('COLUMN', 'public.fires.models', 'Number of models that were due.');
CALL pg_temp.describe('COLUMN', 'public.fires.messages', 'Number of messages published to the workers.');
CALL pg_temp.describe('COLUMN', 'public.fires.skipped',
    'Number of earlier due times, counted per cron spec, that were missed during an outage and are made up by this '
    'one.');
CALL pg_temp.describe('COLUMN', 'public.fires.leader', 'The scheduler that published it last.');
CALL pg_temp.describe('COLUMN', 'public.fires.lag',
    'fired_at - due_at. Null if the due time was only counted as skipped.');
CALL pg_temp.describe('COLUMN', 'public.fires.duration',
    'finished_at - fired_at. For a due time that was published more than once: from the first start to the last end.');


CREATE TABLE IF NOT EXISTS public.retired_fires (
    singleton boolean NOT NULL DEFAULT true
        CONSTRAINT retired_fires_pkey PRIMARY KEY CONSTRAINT retired_fires_is_one_row CHECK (singleton),
    fires     bigint NOT NULL DEFAULT 0,
    models    bigint NOT NULL DEFAULT 0,
    messages  bigint NOT NULL DEFAULT 0,
    skipped   bigint NOT NULL DEFAULT 0
);

INSERT INTO public.retired_fires DEFAULT VALUES ON CONFLICT DO NOTHING;

CALL pg_temp.describe('TABLE', 'public.retired_fires',
    'One row: totals of the deleted rows of fires. Added to the totals of the existing rows, they give counters that '
    'never decrease.');
CALL pg_temp.describe('COLUMN', 'public.retired_fires.singleton', 'Always true: the table has one row.');
CALL pg_temp.describe('COLUMN', 'public.retired_fires.fires', 'Number of published due times: rows with fired_at.');
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

CALL pg_temp.describe('TABLE', 'public.leader', 'One row: the scheduler that leads. Standbys are not listed.');
CALL pg_temp.describe('COLUMN', 'public.leader.singleton', 'Always true: the table has one row.');
CALL pg_temp.describe('COLUMN', 'public.leader.name', 'Host and process of the leader; null before the first one.');
CALL pg_temp.describe('COLUMN', 'public.leader.since', 'When it became the leader.');
CALL pg_temp.describe('COLUMN', 'public.leader.looked_at',
    'Last heartbeat: when it last checked for due times, every few seconds.');
CALL pg_temp.describe('COLUMN', 'public.leader.error', 'Why it cannot publish at present; null if it can.');


DO $$
BEGIN
    IF to_regclass('public.metrics_executions_enabled') IS NULL THEN
        -- For index-only scans of the models of a due cron spec, and of the distinct cron specs.
        CREATE INDEX metrics_executions_enabled ON public.metrics_executions (cron_expression, timezone, model_id)
            INCLUDE (active_since) WHERE enabled;
    END IF;
    -- For the paginated lists of the API: paused schedules, and schedules of a time zone.
    IF to_regclass('public.metrics_executions_paused') IS NULL THEN
        CREATE INDEX metrics_executions_paused ON public.metrics_executions (cron_expression, timezone, model_id)
            WHERE NOT enabled;
    END IF;
    IF to_regclass('public.metrics_executions_zone') IS NULL THEN
        CREATE INDEX metrics_executions_zone ON public.metrics_executions (timezone, enabled, cron_expression, model_id);
    END IF;
    -- A search for part of a name reads all names; an index-only scan reads nothing else.
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
