-- Functions that validate cron expressions, time zones and names; the triggers that call them are in 050.
-- All comparisons are bytewise (COLLATE "C"), so that the locale of the database (Turkish, for one) has no influence.

CREATE OR REPLACE FUNCTION public.cron_never_fires(day_of_month text, month text, day_of_week text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    month_names constant text[] := '{jan,feb,mar,apr,may,jun,jul,aug,sep,oct,nov,dec}';
    first_day integer;
BEGIN
    -- If a match in either day field is enough, some weekday always matches; * and */step always include day 1 and
    -- January. Every day of the list has to be the 30th or 31st, so its first item decides nearly all cases.
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
    'True if well-formed day and month fields match no day of any year, such as 31 February.';


CREATE OR REPLACE FUNCTION public.cron_problem(expression text, OUT message text, OUT hint text)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    fields constant text[] := string_to_array(left(expression, 512) COLLATE "C", ' ');  -- longer expressions are rejected unparsed
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
        hint := 'Write @yearly, @annually, @monthly, @weekly, @daily, @midnight or @hourly, or five fields such as '
            '*/5 * * * *.';
        RETURN;
    ELSIF expression COLLATE "C" ~ '[^ -~]' THEN
        message := 'the expression holds characters that are not printable ASCII';
        hint := 'Write plain digits, letters and * , - / with blanks between the fields.';
        RETURN;
    ELSIF cardinality(fields) <> 5 THEN
        message := format('the expression has %s',
                          CASE cardinality(fields) WHEN 1 THEN '1 field' ELSE cardinality(fields) || ' fields' END);
        hint := 'Write exactly five: minute hour day-of-month month day-of-week, with no blank inside a field. '
            'Seconds and years are not supported.';
        RETURN;
    END IF;

    FOR field_number IN 1..5 LOOP
        SELECT * INTO message, hint FROM public.cron_field_problem(fields[field_number], field_number);
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
    'Why a normalized cron expression is invalid, and how to correct it; nulls for a valid one.';


CREATE OR REPLACE FUNCTION public.schedule_problems(cron_expression text, timezone text)
RETURNS TABLE (field text, sqlstate text, message text, hint text)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT 'cron_expression', '23514',
        format('cron_expression "%s" is refused: %s', left(normalized.expression, 80), problem.message), problem.hint
    FROM (SELECT public.normalize_cron(schedule_problems.cron_expression) AS expression) AS normalized
    CROSS JOIN LATERAL public.cron_problem(normalized.expression) AS problem
    WHERE problem.message IS NOT NULL
    UNION ALL
    SELECT 'timezone', '23503',
        format('timezone "%s" is refused: it is not a name that schedules can use', left(schedule_problems.timezone, 80)),
        coalesce(
            -- cut to 80 characters, since the value is lowercased again for each row of time_zones
            (SELECT format('Write %s.', zone.name) FROM public.time_zones AS zone
             WHERE lower(zone.name) = lower(btrim(left(schedule_problems.timezone, 80)) COLLATE "C")),
            'Write UTC, or an IANA name with a slash such as Europe/Warsaw; the table time_zones holds them all.')
    WHERE NOT EXISTS (SELECT FROM public.time_zones AS zone WHERE zone.name = schedule_problems.timezone COLLATE "C")
$$;

COMMENT ON FUNCTION public.schedule_problems(text, text) IS
    'Validation errors of a cron expression and a time zone: column, SQLSTATE, message, and a hint how to correct it. '
    'No row if both are valid.';


-- A single expression, so that it is inlined into the row trigger.
CREATE OR REPLACE FUNCTION public.name_problem(name text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN length(name_problem.name) > 200
                THEN format('name "%s..." is refused: it has %s characters',
                            left(name_problem.name, 40), length(name_problem.name)) END
$$;

COMMENT ON FUNCTION public.name_problem(text) IS 'Why a name is invalid; null for a valid one.';


CREATE OR REPLACE FUNCTION public.check_schedules(cron_expressions text[], timezones text[]) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    problem record;
BEGIN
    -- Tens of thousands of expressions consist of a few hundred distinct values and ranges, so each of these is
    -- validated once, and so are the combinations of day fields and the time zones (MATERIALIZED: otherwise the
    -- planner moves the validation below the DISTINCT). Cron specs with an invalid part, or that cannot be divided,
    -- are suspects and are validated as a whole. All joins are with invalid parts, of which there are usually none.
    WITH spec AS MATERIALIZED (
        SELECT input.*, string_to_array(left(input.cron_expression, 512), ' ') AS fields
        FROM unnest(check_schedules.cron_expressions, check_schedules.timezones) AS input (cron_expression, timezone)
    ), field AS MATERIALIZED (
        SELECT DISTINCT split.field_number, split.field
        FROM spec CROSS JOIN unnest(spec.fields) WITH ORDINALITY AS split (field, field_number)
        WHERE cardinality(spec.fields) = 5
    ), field_item AS MATERIALIZED (
        SELECT field.field_number, field.field, split.item
        FROM field CROSS JOIN unnest(  -- items can be validated one by one only in a list of nothing but values and ranges
            CASE WHEN field.field COLLATE "C" ~ '\*|,,|^,|,$' THEN ARRAY[field.field] ELSE string_to_array(field.field, ',') END
        ) AS split (item)
    ), item AS MATERIALIZED (
        SELECT DISTINCT field_item.field_number, field_item.item FROM field_item
    ), invalid_item AS MATERIALIZED (
        SELECT item.field_number, item.item FROM item
        WHERE (public.cron_field_problem(item.item, item.field_number::integer)).message IS NOT NULL
    ), invalid_field AS MATERIALIZED (
        SELECT field_item.field_number, field_item.field
        FROM field_item JOIN invalid_item USING (field_number, item)
    ), days AS MATERIALIZED (
        SELECT DISTINCT spec.fields[3] AS of_month, spec.fields[4] AS month, spec.fields[5] AS of_week FROM spec
        WHERE cardinality(spec.fields) = 5
    ), invalid_days AS MATERIALIZED (
        SELECT days.* FROM days
        WHERE CASE
            WHEN EXISTS (SELECT FROM invalid_field) THEN false  -- the statement fails anyway, and days may be malformed
            ELSE public.cron_never_fires(days.of_month, days.month, days.of_week)
        END
    ), invalid_timezone AS MATERIALIZED (
        SELECT DISTINCT spec.timezone AS name FROM spec
        EXCEPT SELECT zone.name FROM public.time_zones AS zone
    ), suspect AS (
        SELECT spec.cron_expression, spec.timezone FROM spec
        WHERE cardinality(spec.fields) <> 5 OR octet_length(spec.cron_expression) > 512
        UNION ALL
        SELECT spec.cron_expression, spec.timezone
        FROM spec CROSS JOIN unnest(spec.fields) WITH ORDINALITY AS split (field, field_number)
        JOIN invalid_field ON invalid_field.field = split.field AND invalid_field.field_number = split.field_number
        UNION ALL
        SELECT spec.cron_expression, spec.timezone FROM spec JOIN invalid_timezone ON invalid_timezone.name = spec.timezone
        UNION ALL
        SELECT spec.cron_expression, spec.timezone
        FROM spec JOIN invalid_days ON invalid_days.of_month = spec.fields[3] AND invalid_days.month = spec.fields[4]
            AND invalid_days.of_week = spec.fields[5]
    )
    SELECT validation.* INTO problem
    FROM suspect CROSS JOIN LATERAL public.schedule_problems(suspect.cron_expression, suspect.timezone) AS validation
    LIMIT 1;

    IF FOUND THEN
        RAISE EXCEPTION '%', problem.message
            USING ERRCODE = problem.sqlstate, HINT = problem.hint,
                  SCHEMA = 'public', TABLE = 'metrics_executions', COLUMN = problem.field;
    END IF;
END;
$$;

COMMENT ON FUNCTION public.check_schedules(text[], text[]) IS
    'Raises 23514 for an invalid cron expression (expected in normalized form) and 23503 for an unknown time zone, with a '
    'hint how to correct it. The two arrays form cron specs; if several are invalid, one of them is reported.';
