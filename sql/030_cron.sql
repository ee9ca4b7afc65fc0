-- The gate's judgement: is this a cron expression, is this a time zone? Functions only; the triggers that use them
-- are in 050. The dialect is Debian's five fields, less everything on which cron implementations disagree.
-- Everything compares as bytes (COLLATE "C"), so that a Turkish or any other locale changes nothing.

CREATE OR REPLACE FUNCTION public.schedule_now() RETURNS timestamptz
LANGUAGE sql VOLATILE PARALLEL SAFE
RETURN clock_timestamp();

COMMENT ON FUNCTION public.schedule_now() IS
    'The clock of the whole system. Scheduler and triggers ask it, so clocks of other hosts cannot move a fire; a test sets the time by replacing it.';


CREATE OR REPLACE FUNCTION public.normal_cron(expression text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN lower(btrim(regexp_replace(expression COLLATE "C", '[ \t]+', ' ', 'g'), ' ') COLLATE "C");

COMMENT ON FUNCTION public.normal_cron(text) IS
    'The form in which a cron expression is stored: trimmed, one blank between fields, lower case. Does not check it.';


CREATE OR REPLACE FUNCTION public.cron_value(word text, names text[], names_start integer) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN word COLLATE "C" <= '99' THEN word::integer
    ELSE array_position(names, word) - 1 + names_start
END;

COMMENT ON FUNCTION public.cron_value(text, text[], integer) IS
    'The number that one or two digits, or the name of a month or a day, stand for; null for an unknown name.';


CREATE OR REPLACE FUNCTION public.cron_range(first integer, last integer) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN first = last THEN first::text ELSE first || '-' || last END;

COMMENT ON FUNCTION public.cron_range(integer, integer) IS 'A range as a cron item; a single value where both ends are the same.';


CREATE OR REPLACE FUNCTION public.cron_wrapped_range(first integer, last integer, step integer, low integer, high integer)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN first = last THEN first::text
    WHEN step > 1 THEN (
        SELECT string_agg(value::text, ',' ORDER BY value)
        FROM generate_series(first, last + high - low + 1, step) AS number,
            LATERAL (SELECT (number - low) % (high - low + 1) + low AS value) AS wrapped)
    ELSE public.cron_range(first, high) || coalesce(',' || public.cron_range(low, nullif(last, low - 1)), '')
END;

COMMENT ON FUNCTION public.cron_wrapped_range(integer, integer, integer, integer, integer) IS
    'What to write instead of a range that goes past the end of its field and on from the start, such as 22-2.';


CREATE OR REPLACE FUNCTION public.cron_strange_item(
    item text, field_name text, low integer, high integer, names text[], OUT message text, OUT hint text)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    shown constant text := field_name || ' "' || left(item, 40) || '"';
BEGIN
    message := shown || ' is not supported';
    CASE
        WHEN item = '' THEN
            message := field_name || ' has an empty item';
            hint := 'Write values apart by single commas, with no blank between them.';
        WHEN item COLLATE "C" ~ '^\*(/[0-9]{1,2})?$' THEN
            message := shown || ' stands in a list';
            hint := 'Write * or */step alone, or list the values.';
        WHEN item LIKE '*/%' THEN
            message := format('%s: the step is not between 1 and %s', shown, high);
            hint := format('Write a step from 1 to %s.', high);
        WHEN item COLLATE "C" ~ '^[0-9]{3,}$' THEN
            message := shown || ' has too many digits';
            hint := format('Write %s to %s.', low, high);
        WHEN left(item, 3) = ANY (names) AND item COLLATE "C" ~ '^[a-z]+$' THEN
            hint := format('Write %s: names have three letters.', left(item, 3));
        WHEN item = '?' THEN
            hint := 'Write *.';
        WHEN item COLLATE "C" ~ '^[hr](\(.*\))?(/[0-9]+)?$' THEN
            hint := format('Write a value of your choice, from %s to %s: no time is picked for you.', low, high);
        WHEN item COLLATE "C" ~ '^([0-9]|[a-z]{3})#[0-9]$' THEN
            hint := format('Write %s for each of these weekdays: one of them by its number in the month cannot be named.',
                           split_part(item, '#', 1));
        WHEN item COLLATE "C" ~ '^([0-9]{0,2}|[a-z]{3})[lw]{1,2}(-[0-9]+)?$' THEN
            hint := format('Write values from %s to %s: last days and nearest weekdays cannot be named.', low, high);
        ELSE
            message := shown || ' is not understood';
            hint := format('Write *, */step, a value from %s to %s, a range, a range with /step, or a list of these.', low, high);
    END CASE;
END;
$$;

COMMENT ON FUNCTION public.cron_strange_item(text, text, integer, integer, text[]) IS
    'What to write instead of an item that is neither a value nor a range.';


CREATE OR REPLACE FUNCTION public.cron_item_problem(
    item text, field_name text, low integer, high integer, names text[], OUT message text, OUT hint text)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    shown constant text := field_name || ' "' || left(item, 40) || '"';
    parts text[] := regexp_match(item COLLATE "C", '^([0-9]{1,2}|[a-z]{3})(?:-([0-9]{1,2}|[a-z]{3}))?(?:/([0-9]{1,2}))?$');
    value text;
    first integer;
    last integer;
    step integer := parts[3]::integer;
BEGIN
    IF parts IS NULL THEN
        SELECT * INTO message, hint FROM public.cron_strange_item(item, field_name, low, high, names);
        RETURN;
    END IF;

    FOREACH value IN ARRAY parts[1:2] LOOP
        CONTINUE WHEN value IS NULL;
        last := public.cron_value(value, names, low);
        IF last IS NULL THEN
            message := format('%s: "%s" is not a name of a %s', shown, value, field_name);
            hint := format('Write a number from %s to %s', low, high) || coalesce(', or one of ' || array_to_string(names, ', '), '') || '.';
            RETURN;
        ELSIF last NOT BETWEEN low AND high THEN
            message := format('%s: %s is not between %s and %s', shown, value, low, high);
            hint := format('Write %s to %s.', low, high);
            RETURN;
        END IF;
        first := coalesce(first, last);
    END LOOP;

    IF step NOT BETWEEN 1 AND high THEN
        message := format('%s: the step %s is not between 1 and %s', shown, parts[3], high);
        hint := format('Write a step from 1 to %s.', high);
    ELSIF parts[2] IS NULL AND step IS NOT NULL THEN
        message := shown || ' has a step without a range';
        hint := CASE WHEN first = high THEN format('Write %s.', parts[1]) ELSE format('Write %s-%s/%s.', parts[1], high, parts[3]) END;
    ELSIF parts[2] IS NOT NULL AND first >= last THEN
        message := shown || ' does not ascend';
        hint := CASE
            -- Sunday is 7 at the end of a range, and the week goes on with Monday.
            WHEN field_name = 'day-of-week' THEN
                format('Write %s.', public.cron_wrapped_range(first, CASE WHEN first = 7 THEN coalesce(nullif(last, 0), 7) ELSE last END, step, 1, 7))
            ELSE format('Write %s.', public.cron_wrapped_range(first, last, step, low, high))
        END;
    END IF;
END;
$$;

COMMENT ON FUNCTION public.cron_item_problem(text, text, integer, integer, text[]) IS
    'Why one item of a comma-separated cron field is refused, and what to write instead; nulls when it is fine.';


CREATE OR REPLACE FUNCTION public.cron_field_problem(field text, place bigint, OUT message text, OUT hint text)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    field_name constant text := ('{minute,hour,day-of-month,month,day-of-week}'::text[])[place];
    low constant integer := ('{0,0,1,1,0}'::integer[])[place];
    high constant integer := ('{59,23,31,12,7}'::integer[])[place];
    names constant text[] := CASE place WHEN 4 THEN '{jan,feb,mar,apr,may,jun,jul,aug,sep,oct,nov,dec}'::text[]
                                        WHEN 5 THEN '{sun,mon,tue,wed,thu,fri,sat}'::text[] END;
    item text;
BEGIN
    IF field = '*' THEN
        RETURN;
    ELSIF field COLLATE "C" ~ '^\*/[0-9]{1,2}$' THEN
        IF substr(field, 3)::integer NOT BETWEEN 1 AND high THEN
            message := format('%s "%s": the step is not between 1 and %s', field_name, field, high);
            hint := format('Write a step from 1 to %s.', high);
        END IF;
        RETURN;
    END IF;
    FOREACH item IN ARRAY string_to_array(field, ',') LOOP
        SELECT * INTO message, hint FROM public.cron_item_problem(item, field_name, low, high, names);
        EXIT WHEN message IS NOT NULL;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION public.cron_field_problem(text, bigint) IS
    'Why one of the five fields of a cron expression is refused, and what to write instead; nulls when it is fine. Places count from 1.';


CREATE OR REPLACE FUNCTION public.cron_never_fires(day_of_month text, month text, day_of_week text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    month_names constant text[] := '{jan,feb,mar,apr,may,jun,jul,aug,sep,oct,nov,dec}';
    first_day integer;
BEGIN
    -- Where either day field may decide, some weekday always comes; * and */step always hold day 1 and January.
    IF day_of_month LIKE '*%' OR day_of_week NOT LIKE '*%' OR month LIKE '*%' THEN
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
    fields constant text[] := string_to_array(expression COLLATE "C", ' ');
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
        message := format('the expression has %s fields', cardinality(fields));
        hint := 'Write exactly five: minute hour day-of-month month day-of-week. Seconds and years are not supported.';
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
        format('cron_expression "%s" is refused: %s', left(schedule_problems.cron_expression, 80), problem.message), problem.hint
    FROM public.cron_problem(schedule_problems.cron_expression) AS problem
    WHERE problem.message IS NOT NULL
    UNION ALL
    SELECT 'timezone', '23503',
        format('timezone "%s" is refused: it is not a name that schedules can use', left(schedule_problems.timezone, 80)),
        coalesce(
            (SELECT format('Write %s.', zone.name) FROM public.time_zones AS zone
             WHERE lower(zone.name) = lower(btrim(schedule_problems.timezone) COLLATE "C")),
            'Write UTC, or an IANA name with a slash such as Europe/Warsaw; the table time_zones holds them all.')
    WHERE NOT EXISTS (SELECT FROM public.time_zones AS zone WHERE zone.name = schedule_problems.timezone COLLATE "C")
$$;

COMMENT ON FUNCTION public.schedule_problems(text, text) IS
    'Why a cron expression (in its normal form) and a time zone are refused: the column, the SQLSTATE, the sentence, and what to write instead. No row when they are fine.';


CREATE OR REPLACE FUNCTION public.check_schedules(cron_expressions text[], timezones text[]) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    problem record;
BEGIN
    -- Tens of thousands of expressions are made of a few hundred fields, so each field is judged once (materialized: the judgement would be
    -- pushed below the DISTINCT). What is not plainly made of five good ones is suspect, and judged by itself.
    WITH pair AS MATERIALIZED (
        SELECT written.*, string_to_array(written.cron_expression, ' ') AS fields
        FROM unnest(check_schedules.cron_expressions, check_schedules.timezones) AS written (cron_expression, timezone)
    ), field AS MATERIALIZED (
        SELECT DISTINCT written.place, written.field
        FROM pair CROSS JOIN unnest(pair.fields) WITH ORDINALITY AS written (field, place)
        WHERE cardinality(pair.fields) = 5
    ), refused_field AS MATERIALIZED (
        SELECT field.place, field.field FROM field
        WHERE (public.cron_field_problem(field.field, field.place)).message IS NOT NULL
    ), refused_zone AS MATERIALIZED (
        SELECT DISTINCT pair.timezone AS name FROM pair
        EXCEPT SELECT zone.name FROM public.time_zones AS zone
    ), suspect AS (
        SELECT pair.cron_expression, pair.timezone FROM pair
        WHERE CASE
                WHEN cardinality(pair.fields) <> 5 OR octet_length(pair.cron_expression) > 512 THEN true
                WHEN EXISTS (SELECT FROM refused_field WHERE refused_field.field = pair.fields[refused_field.place]) THEN true
                ELSE public.cron_never_fires(pair.fields[3], pair.fields[4], pair.fields[5])
            END
            OR EXISTS (SELECT FROM refused_zone WHERE refused_zone.name = pair.timezone)
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
