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


CREATE OR REPLACE FUNCTION public.cron_item_problem(
    item text, field_name text, low integer, high integer, names text[], OUT message text, OUT hint text)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    shown constant text := field_name || ' "' || left(item, 40) || '"';
    parts text[] := regexp_match(item COLLATE "C", '^([0-9]{1,2}|[a-z]{3})(?:-([0-9]{1,2}|[a-z]{3})(?:/([0-9]{1,2}))?)?$');
    value text;
    first integer;
    last integer;
BEGIN
    IF parts IS NULL THEN
        CASE
            WHEN item = '' THEN
                message := field_name || ' has an empty item';
                hint := 'Write values apart by single commas, with no blank between them.';
            WHEN item COLLATE "C" ~ '^\*(/|$)' THEN
                message := shown || ' stands in a list';
                hint := 'Write * alone, or list the values.';
            WHEN item COLLATE "C" ~ '^([0-9]{1,2}|[a-z]{3})/[0-9]{1,2}$' THEN
                message := shown || ' has a step without a range';
                hint := format('Write %s-%s/%s.', split_part(item, '/', 1), high, split_part(item, '/', 2));
            WHEN item COLLATE "C" ~ '^[0-9]{3,}$' THEN
                message := shown || ' is too large';
                hint := format('Write %s to %s.', low, high);
            ELSE
                message := shown || ' is not understood';
                hint := format('Write *, */step, a value from %s to %s, a range, a range with /step, or a list of these.', low, high);
        END CASE;
        RETURN;
    END IF;

    FOREACH value IN ARRAY parts[1:2] LOOP
        CONTINUE WHEN value IS NULL;
        last := public.cron_value(value, names, low);
        IF last IS NULL THEN
            message := format('%s: "%s" is not a name of a %s', shown, value, field_name);
            hint := CASE WHEN names IS NULL THEN format('Write a number from %s to %s.', low, high)
                         ELSE format('Write a number from %s to %s, or one of %s.', low, high, array_to_string(names, ', ')) END;
            RETURN;
        ELSIF last NOT BETWEEN low AND high THEN
            message := format('%s: %s is not between %s and %s', shown, value, low, high);
            hint := format('Write %s to %s.', low, high);
            RETURN;
        END IF;
        first := coalesce(first, last);
    END LOOP;

    IF parts[2] IS NOT NULL AND first >= last THEN
        message := shown || ' does not ascend';
        hint := CASE
            WHEN first = last THEN format('Write %s.', first)
            WHEN field_name = 'day-of-week' AND last = 0 THEN format('Write %s-7: as the end of a range, Sunday is 7.', first)
            WHEN field_name = 'day-of-week' THEN format('Write %s-7,%s-%s, with Sunday as 7 at the end and 0 at the start.', first, 0, last)
            ELSE format('Write %s-%s,%s-%s.', first, high, low, last)
        END;
    ELSIF parts[3]::integer NOT BETWEEN 1 AND high THEN
        message := format('%s: the step %s is not between 1 and %s', shown, parts[3], high);
        hint := format('Write a step from 1 to %s.', high);
    END IF;
END;
$$;

COMMENT ON FUNCTION public.cron_item_problem(text, text, integer, integer, text[]) IS
    'Why one item of a comma-separated cron field is refused, and what to write instead; nulls when it is fine.';


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
    field_names constant text[] := '{minute,hour,day-of-month,month,day-of-week}';
    lows constant integer[] := '{0,0,1,1,0}';
    highs constant integer[] := '{59,23,31,12,7}';
    fields constant text[] := string_to_array(expression COLLATE "C", ' ');
    names text[];
    item text;
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
        hint := 'Write @yearly, @annually, @monthly, @weekly, @daily, @midnight or @hourly, or five fields.';
        RETURN;
    ELSIF expression COLLATE "C" ~ '[^ -~]' THEN
        message := 'the expression holds characters that are not printable ASCII';
        hint := 'Write plain digits, letters and * , - / with blanks between the fields.';
        RETURN;
    ELSIF cardinality(fields) <> 5 OR '' = ANY (fields) THEN
        message := format('the expression has %s fields', cardinality(fields));
        hint := 'Write exactly five: minute hour day-of-month month day-of-week. Seconds and years are not supported.';
        RETURN;
    END IF;

    FOR i IN 1..5 LOOP
        CONTINUE WHEN fields[i] = '*';
        IF fields[i] COLLATE "C" ~ '^\*/[0-9]{1,2}$' THEN
            IF substr(fields[i], 3)::integer BETWEEN 1 AND highs[i] THEN
                CONTINUE;
            END IF;
            message := format('%s "%s": the step is not between 1 and %s', field_names[i], fields[i], highs[i]);
            hint := format('Write a step from 1 to %s.', highs[i]);
            RETURN;
        END IF;
        names := CASE i WHEN 4 THEN '{jan,feb,mar,apr,may,jun,jul,aug,sep,oct,nov,dec}'::text[]
                        WHEN 5 THEN '{sun,mon,tue,wed,thu,fri,sat}'::text[] END;
        FOREACH item IN ARRAY string_to_array(fields[i], ',') LOOP
            SELECT * INTO message, hint FROM public.cron_item_problem(item, field_names[i], lows[i], highs[i], names);
            IF message IS NOT NULL THEN
                RETURN;
            END IF;
        END LOOP;
    END LOOP;

    IF public.cron_never_fires(fields[3], fields[4], fields[5]) THEN
        message := format('day-of-month "%s" never comes in month "%s"', left(fields[3], 40), left(fields[4], 40));
        hint := 'Write a day that the month has.';
    END IF;
END;
$$;

COMMENT ON FUNCTION public.cron_problem(text) IS
    'Why a cron expression in its normal form is refused, and what to write instead; nulls when the scheduler can fire it.';


CREATE OR REPLACE FUNCTION public.check_schedule(cron_expression text, timezone text) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    problem record;
BEGIN
    SELECT * INTO problem FROM public.cron_problem(check_schedule.cron_expression);
    IF problem.message IS NOT NULL THEN
        RAISE EXCEPTION 'cron_expression "%" is refused: %', left(check_schedule.cron_expression, 80), problem.message
            USING ERRCODE = 'check_violation', HINT = problem.hint,
                  SCHEMA = 'public', TABLE = 'metrics_executions', COLUMN = 'cron_expression';
    END IF;
    IF NOT EXISTS (SELECT FROM public.time_zones AS zone WHERE zone.name = check_schedule.timezone COLLATE "C") THEN
        RAISE EXCEPTION 'timezone "%" is refused: it is not a name that schedules can use', left(check_schedule.timezone, 80)
            USING ERRCODE = 'foreign_key_violation',
                  HINT = coalesce(
                      (SELECT format('Write %s.', zone.name) FROM public.time_zones AS zone
                       WHERE lower(zone.name) = lower(btrim(check_schedule.timezone) COLLATE "C")),
                      'Write UTC, or an IANA name with a slash such as Europe/Warsaw; the table time_zones holds them all.'),
                  SCHEMA = 'public', TABLE = 'metrics_executions', COLUMN = 'timezone';
    END IF;
END;
$$;

COMMENT ON FUNCTION public.check_schedule(text, text) IS
    'Raises 23514 for a cron expression (in its normal form) and 23503 for a time zone that schedules cannot use, with what to write instead.';
