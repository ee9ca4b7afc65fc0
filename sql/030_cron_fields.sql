-- The five fields of a cron expression: which are refused, and what to write instead. The dialect is Debian's, less
-- everything on which cron implementations disagree (docs/cron.md). Functions only.
-- Everything compares as bytes (COLLATE "C"), so that a Turkish or any other locale changes nothing.

CREATE OR REPLACE FUNCTION public.normal_cron(expression text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN octet_length(expression) > 10000 THEN expression  -- refused for its length; megabytes would take a second
    ELSE lower(btrim(
        CASE
            -- As a rule there is nothing to replace, and a regular expression is what costs most here.
            WHEN strpos(expression COLLATE "C", '  ') = 0 AND strpos(expression COLLATE "C", E'\t') = 0 THEN expression
            ELSE regexp_replace(expression COLLATE "C", '[ \t]+', ' ', 'g')
        END, ' ') COLLATE "C")
END;

COMMENT ON FUNCTION public.normal_cron(text) IS
    'The form in which a cron expression is stored: trimmed, one blank between fields, lower case; above 10,000 bytes as it stands. Does not check it.';


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
        WHEN item COLLATE "C" ~ '^(\*/)?[0-9]+$' THEN
            message := shown || ' has too many digits';
            hint := CASE WHEN item LIKE '*/%' THEN format('Write a step from 1 to %s.', high) ELSE format('Write %s to %s.', low, high) END;
        WHEN item COLLATE "C" ~ '^([0-9]{0,2}|[a-z]{3})[lw]{1,2}(-[0-9]+)?$' THEN
            hint := format('Write values from %s to %s: last days and nearest weekdays cannot be named.', low, high);
        WHEN left(item, 3) = ANY (names) AND item COLLATE "C" ~ '^[a-z]+$' THEN
            hint := format('Write %s: names have three letters.', left(item, 3));
        WHEN item = '?' THEN
            hint := 'Write *.';
        WHEN item COLLATE "C" ~ '^[hr](\(.*\))?(/[0-9]+)?$' THEN
            hint := format('Write a value of your choice, from %s to %s: no time is picked for you.', low, high);
        WHEN field_name = 'day-of-week' AND item COLLATE "C" ~ '^([0-7]|[a-z]{3})#[0-9]$'
            AND public.cron_value(split_part(item, '#', 1), names, low) IS NOT NULL THEN
            hint := format('Write %s for each of these weekdays: one of them by its number in the month cannot be named.',
                           split_part(item, '#', 1));
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
                format('Write %s.', public.cron_wrapped_range(first, last, step, 1, 7))
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
