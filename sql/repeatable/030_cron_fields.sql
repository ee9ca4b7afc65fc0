-- Functions that validate the five fields of a cron expression. The dialect is Debian's, without everything on which
-- cron implementations disagree (docs/cron.md). All comparisons are bytewise (COLLATE "C"), so that the locale of the
-- database (Turkish, for one) has no influence.

CREATE OR REPLACE FUNCTION public.normalize_cron(expression text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN octet_length(expression) > 10000 THEN expression  -- rejected for its length; normalizing megabytes would take a second
    ELSE lower(btrim(
        CASE
            -- Usually there is nothing to replace, and the regular expression is the most expensive part.
            WHEN strpos(expression COLLATE "C", '  ') = 0 AND strpos(expression COLLATE "C", E'\t') = 0 THEN expression
            ELSE regexp_replace(expression COLLATE "C", '[ \t]+', ' ', 'g')
        END, ' ') COLLATE "C")
END;

COMMENT ON FUNCTION public.normalize_cron(text) IS
    'The normalized form, in which a cron expression is stored: trimmed, one blank between fields, lower case; unchanged '
    'above 10,000 bytes. Does not validate it.';


CREATE OR REPLACE FUNCTION public.cron_value(word text, names text[], names_start integer) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN word COLLATE "C" <= '99' THEN word::integer
    ELSE array_position(names, word) - 1 + names_start
END;

COMMENT ON FUNCTION public.cron_value(text, text[], integer) IS
    'The number of a value written as one or two digits, or as the name of a month or weekday; null for an unknown name.';


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
    'The valid replacement of a range that wraps around the end of its field, such as 22-2.';


CREATE OR REPLACE FUNCTION public.cron_unsupported_item(
    item text, field_name text, low integer, high integer, names text[], OUT message text, OUT hint text)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    quoted_item constant text := field_name || ' "' || left(item, 40) || '"';
BEGIN
    message := quoted_item || ' is not supported';
    CASE
        WHEN item = '' THEN
            message := field_name || ' has an empty item';
            hint := 'Write values apart by single commas, with no blank between them.';
        WHEN item COLLATE "C" ~ '^\*(/[0-9]{1,2})?$' THEN
            message := quoted_item || ' stands in a list';
            hint := 'Write * or */step alone, or list the values.';
        WHEN item COLLATE "C" ~ '^(\*/)?[0-9]+$' THEN
            message := quoted_item || ' has too many digits';
            hint := CASE
                WHEN item LIKE '*/%' THEN format('Write a step from 1 to %s.', high)
                ELSE format('Write %s to %s.', low, high)
            END;
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
            message := quoted_item || ' is not understood';
            hint := format('Write *, */step, a value from %s to %s, a range, a range with /step, or a list of these.', low, high);
    END CASE;
END;
$$;

COMMENT ON FUNCTION public.cron_unsupported_item(text, text, integer, integer, text[]) IS
    'Message and hint for an item of a cron field that is neither a value nor a range.';


CREATE OR REPLACE FUNCTION public.cron_item_problem(
    item text, field_name text, low integer, high integer, names text[], OUT message text, OUT hint text)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    quoted_item constant text := field_name || ' "' || left(item, 40) || '"';
    parts text[] := regexp_match(item COLLATE "C", '^([0-9]{1,2}|[a-z]{3})(?:-([0-9]{1,2}|[a-z]{3}))?(?:/([0-9]{1,2}))?$');
    value text;
    first integer;
    last integer;
    step integer := parts[3]::integer;
BEGIN
    IF parts IS NULL THEN
        SELECT * INTO message, hint FROM public.cron_unsupported_item(item, field_name, low, high, names);
        RETURN;
    END IF;

    FOREACH value IN ARRAY parts[1:2] LOOP
        CONTINUE WHEN value IS NULL;
        last := public.cron_value(value, names, low);
        IF last IS NULL THEN
            message := format('%s: "%s" is not a name of a %s', quoted_item, value, field_name);
            hint := format('Write a number from %s to %s', low, high)
                || coalesce(', or one of ' || array_to_string(names, ', '), '') || '.';
            RETURN;
        ELSIF last NOT BETWEEN low AND high THEN
            message := format('%s: %s is not between %s and %s', quoted_item, value, low, high);
            hint := format('Write %s to %s.', low, high);
            RETURN;
        END IF;
        first := coalesce(first, last);
    END LOOP;

    IF step NOT BETWEEN 1 AND high THEN
        message := format('%s: the step %s is not between 1 and %s', quoted_item, parts[3], high);
        hint := format('Write a step from 1 to %s.', high);
    ELSIF parts[2] IS NULL AND step IS NOT NULL THEN
        message := quoted_item || ' has a step without a range';
        hint := CASE
            WHEN first = high THEN format('Write %s.', parts[1])
            ELSE format('Write %s-%s/%s.', parts[1], high, parts[3])
        END;
    ELSIF parts[2] IS NOT NULL AND first >= last THEN
        message := quoted_item || ' does not ascend';
        hint := CASE
            -- At the end of a range Sunday is 7; the value after it is Monday, 1.
            WHEN field_name = 'day-of-week' THEN format('Write %s.', public.cron_wrapped_range(first, last, step, 1, 7))
            ELSE format('Write %s.', public.cron_wrapped_range(first, last, step, low, high))
        END;
    END IF;
END;
$$;

COMMENT ON FUNCTION public.cron_item_problem(text, text, integer, integer, text[]) IS
    'Why an item of a comma-separated cron field is invalid, and how to correct it; nulls for a valid item.';


CREATE OR REPLACE FUNCTION public.cron_field_problem(field text, field_number integer, OUT message text, OUT hint text)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    field_name constant text := ('{minute,hour,day-of-month,month,day-of-week}'::text[])[field_number];
    low constant integer := ('{0,0,1,1,0}'::integer[])[field_number];
    high constant integer := ('{59,23,31,12,7}'::integer[])[field_number];
    names constant text[] := CASE field_number
        WHEN 4 THEN '{jan,feb,mar,apr,may,jun,jul,aug,sep,oct,nov,dec}'::text[]
        WHEN 5 THEN '{sun,mon,tue,wed,thu,fri,sat}'::text[]
    END;
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

COMMENT ON FUNCTION public.cron_field_problem(text, integer) IS
    'Why a field of a cron expression is invalid, and how to correct it; nulls for a valid field. field_number: 1 (minute) '
    'to 5 (day-of-week).';
