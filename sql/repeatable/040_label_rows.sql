-- Functions of the label rows (table results): validation, and the newest one of each model.

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


CREATE OR REPLACE FUNCTION public.max_clock_skew() RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN interval '5 minutes';

COMMENT ON FUNCTION public.max_clock_skew() IS
    'How far the timestamp of a label row may be ahead of the clock; a row further ahead is ignored until it is within '
    'this limit.';


-- Plain SQL, STABLE, without SECURITY DEFINER and without SET, so that the planner inlines it.
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
