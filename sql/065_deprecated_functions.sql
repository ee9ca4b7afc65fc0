-- Deprecated names of functions, kept for services of the version before; removed with the next release.

CREATE OR REPLACE FUNCTION public.normal_cron(expression text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN public.normalize_cron(expression);

COMMENT ON FUNCTION public.normal_cron(text) IS 'Deprecated: use normalize_cron().';


CREATE OR REPLACE FUNCTION public.ahead_limit() RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN public.max_clock_skew();

COMMENT ON FUNCTION public.ahead_limit() IS 'Deprecated: use max_clock_skew().';


DO $$
BEGIN
    -- An earlier version without the last column; CREATE OR REPLACE cannot add it.
    IF pg_get_function_result(to_regprocedure('public.latest_results(uuid[])')) NOT LIKE '%version%' THEN
        DROP FUNCTION public.latest_results(uuid[]);
    END IF;
END;
$$;

CREATE OR REPLACE FUNCTION public.latest_results(model_ids uuid[])
RETURNS TABLE (model_id uuid, id bigint, y_true json, y_pred json, "timestamp" timestamptz, version text)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT newest.* FROM public.newest_label_rows(latest_results.model_ids) AS newest
$$;

COMMENT ON FUNCTION public.latest_results(uuid[]) IS 'Deprecated: use newest_label_rows().';
