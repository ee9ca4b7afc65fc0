-- The gate's judgement: is this a cron expression, is this a time zone? Functions only; the triggers that use them
-- are in 050. Everything compares as bytes (COLLATE "C"), so that a Turkish or any other locale changes nothing.

CREATE OR REPLACE FUNCTION public.cron_never_fires(day_of_month text, month text, day_of_week text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    month_names constant text[] := '{jan,feb,mar,apr,may,jun,jul,aug,sep,oct,nov,dec}';
    first_day integer;
BEGIN
    -- Where either day field may decide, some weekday always comes; * and */step always hold day 1 and January.
    -- All days have to be the 30th or 31st, so the first of a list tells of nearly all.
    IF left(day_of_month, 2) NOT IN ('30', '31') OR day_of_week NOT LIKE '*%' OR month LIKE '*%' THEN
        RETURN false;
    END IF;
    SELECT min(split_part(item, '-', 1)::integer) INTO first_day FROM unnest(string_to_array(day_of_month, ',')) AS item;
    IF first_day < 30 THEN
        RETURN false;
    END IF;
    RETURN (
        SELECT bool_and(number = 2 OR (first_day = 31 AND number IN (4, 6, 9, 11)))
        FROM unnest(string_to_array(month, ',')) AS item,
            LATERAL (SELECT regexp_match(item, '^(\w+)(?:-(\w+)(?:/(\d+))?)?$') AS parts) AS matched,
            LATERAL generate_series(
                public.cron_value(parts[1], month_names, 1),
                public.cron_value(coalesce(parts[2], parts[1]), month_names, 1),
                coalesce(parts[3], '1')::integer) AS number);
END;
$$;

COMMENT ON FUNCTION public.cron_never_fires(text, text, text) IS
    'Whether well-formed day and month fields name no day of any year, such as 31 February.';


CREATE OR REPLACE FUNCTION public.cron_problem(expression text, OUT message text, OUT hint text)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    fields constant text[] := string_to_array(left(expression, 512) COLLATE "C", ' ');  -- longer ones are refused unread
BEGIN
    IF expression COLLATE "C" IN ('@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly') THEN
        RETURN;
    ELSIF expression = '' THEN
        message := 'the expression is empty';
        hint := 'Write five fields: minute hour day-of-month month day-of-week, such as */15 * * * *.';
        RETURN;
    ELSIF octet_length(expression) > 512 THEN
        message := format('the expression is %s bytes long', octet_length(expression));
        hint := 'Write at most 512 bytes; ranges and steps are shorter than lists.';
        RETURN;
    ELSIF expression COLLATE "C" LIKE '@%' THEN
        message := 'this alias is not known';
        hint := 'Write @yearly, @annually, @monthly, @weekly, @daily, @midnight or @hourly, or five fields such as */5 * * * *.';
        RETURN;
    ELSIF expression COLLATE "C" ~ '[^ -~]' THEN
        message := 'the expression holds characters that are not printable ASCII';
        hint := 'Write plain digits, letters and * , - / with blanks between the fields.';
        RETURN;
    ELSIF cardinality(fields) <> 5 THEN
        message := format('the expression has %s', CASE cardinality(fields) WHEN 1 THEN '1 field' ELSE cardinality(fields) || ' fields' END);
        hint := 'Write exactly five: minute hour day-of-month month day-of-week, with no blank inside a field. Seconds and years are not supported.';
        RETURN;
    END IF;

    FOR place IN 1..5 LOOP
        SELECT * INTO message, hint FROM public.cron_field_problem(fields[place], place);
        IF message IS NOT NULL THEN
            RETURN;
        END IF;
    END LOOP;
    IF public.cron_never_fires(fields[3], fields[4], fields[5]) THEN
        message := format('day-of-month "%s" never comes in month "%s"', left(fields[3], 40), left(fields[4], 40));
        hint := 'Write a day that the month has.';
    END IF;
END;
$$;

COMMENT ON FUNCTION public.cron_problem(text) IS
    'Why a cron expression in its normal form is refused, and what to write instead; nulls when the scheduler can fire it.';


CREATE OR REPLACE FUNCTION public.schedule_problems(cron_expression text, timezone text)
RETURNS TABLE (field text, sqlstate text, message text, hint text)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT 'cron_expression', '23514',
        format('cron_expression "%s" is refused: %s', left(normal.form, 80), problem.message), problem.hint
    FROM (SELECT public.normal_cron(schedule_problems.cron_expression) AS form) AS normal
    CROSS JOIN LATERAL public.cron_problem(normal.form) AS problem
    WHERE problem.message IS NOT NULL
    UNION ALL
    SELECT 'timezone', '23503',
        format('timezone "%s" is refused: it is not a name that schedules can use', left(schedule_problems.timezone, 80)),
        coalesce(
            (SELECT format('Write %s.', zone.name) FROM public.time_zones AS zone
             WHERE lower(zone.name) = lower(btrim(left(schedule_problems.timezone, 80)) COLLATE "C")),  -- cut, since each zone has it worked out anew
            'Write UTC, or an IANA name with a slash such as Europe/Warsaw; the table time_zones holds them all.')
    WHERE NOT EXISTS (SELECT FROM public.time_zones AS zone WHERE zone.name = schedule_problems.timezone COLLATE "C")
$$;

COMMENT ON FUNCTION public.schedule_problems(text, text) IS
    'Why a cron expression and a time zone are refused: the column, the SQLSTATE, the sentence, and what to write instead. No row when they are fine.';


-- One expression, so that the row trigger has it inlined.
CREATE OR REPLACE FUNCTION public.name_problem(name text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN length(name_problem.name) > 200
                THEN format('name "%s..." is refused: it has %s characters', left(name_problem.name, 40), length(name_problem.name)) END
$$;

COMMENT ON FUNCTION public.name_problem(text) IS 'Why a name is refused; null when it is fine.';


CREATE OR REPLACE FUNCTION public.check_schedules(cron_expressions text[], timezones text[]) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    problem record;
BEGIN
    -- Tens of thousands of expressions are made of a few hundred values and ranges, so each of these is judged once, and
    -- so are the days and the zones (materialized: the judgement would be pushed below the DISTINCT). What is not plainly
    -- made of good ones is suspect, and judged by itself. All joins are with what is refused, which is nothing as a rule.
    WITH pair AS MATERIALIZED (
        SELECT written.*, string_to_array(left(written.cron_expression, 512), ' ') AS fields
        FROM unnest(check_schedules.cron_expressions, check_schedules.timezones) AS written (cron_expression, timezone)
    ), field AS MATERIALIZED (
        SELECT DISTINCT written.place, written.field
        FROM pair CROSS JOIN unnest(pair.fields) WITH ORDINALITY AS written (field, place)
        WHERE cardinality(pair.fields) = 5
    ), part AS MATERIALIZED (
        SELECT field.place, field.field, item.item
        FROM field CROSS JOIN unnest(  -- only in a list of nothing but values and ranges can each item stand by itself
            CASE WHEN field.field COLLATE "C" ~ '\*|,,|^,|,$' THEN ARRAY[field.field] ELSE string_to_array(field.field, ',') END
        ) AS item (item)
    ), item AS MATERIALIZED (
        SELECT DISTINCT part.place, part.item FROM part
    ), refused_item AS MATERIALIZED (
        SELECT item.place, item.item FROM item
        WHERE (public.cron_field_problem(item.item, item.place)).message IS NOT NULL
    ), refused_field AS MATERIALIZED (
        SELECT part.place, part.field
        FROM part JOIN refused_item ON refused_item.place = part.place AND refused_item.item = part.item
    ), days AS MATERIALIZED (
        SELECT DISTINCT pair.fields[3] AS of_month, pair.fields[4] AS month, pair.fields[5] AS of_week FROM pair
        WHERE cardinality(pair.fields) = 5
    ), refused_days AS MATERIALIZED (
        SELECT days.* FROM days
        WHERE CASE
            WHEN EXISTS (SELECT FROM refused_field) THEN false  -- one is refused already, and may not be well formed
            ELSE public.cron_never_fires(days.of_month, days.month, days.of_week)
        END
    ), refused_zone AS MATERIALIZED (
        SELECT DISTINCT pair.timezone AS name FROM pair
        EXCEPT SELECT zone.name FROM public.time_zones AS zone
    ), suspect AS (
        SELECT pair.cron_expression, pair.timezone FROM pair
        WHERE cardinality(pair.fields) <> 5 OR octet_length(pair.cron_expression) > 512
        UNION ALL
        SELECT pair.cron_expression, pair.timezone
        FROM pair CROSS JOIN unnest(pair.fields) WITH ORDINALITY AS written (field, place)
        JOIN refused_field ON refused_field.field = written.field AND refused_field.place = written.place
        UNION ALL
        SELECT pair.cron_expression, pair.timezone FROM pair JOIN refused_zone ON refused_zone.name = pair.timezone
        UNION ALL
        SELECT pair.cron_expression, pair.timezone
        FROM pair JOIN refused_days ON refused_days.of_month = pair.fields[3] AND refused_days.month = pair.fields[4]
            AND refused_days.of_week = pair.fields[5]
    )
    SELECT found.* INTO problem
    FROM suspect CROSS JOIN LATERAL public.schedule_problems(suspect.cron_expression, suspect.timezone) AS found
    LIMIT 1;

    IF FOUND THEN
        RAISE EXCEPTION '%', problem.message
            USING ERRCODE = problem.sqlstate, HINT = problem.hint,
                  SCHEMA = 'public', TABLE = 'metrics_executions', COLUMN = problem.field;
    END IF;
END;
$$;

COMMENT ON FUNCTION public.check_schedules(text[], text[]) IS
    'Raises 23514 for a cron expression (in its normal form) and 23503 for a time zone that schedules cannot use, with what to write instead. The arrays are pairs; one of those that are refused is named.';
