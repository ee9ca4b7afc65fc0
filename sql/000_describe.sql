-- A tool of the scripts that follow, gone with the session: COMMENT ON, but only where it says something new.
-- COMMENT ON takes a lock that waits for every VACUUM of the table, and the VACUUM of a large one takes hours.

CREATE OR REPLACE PROCEDURE pg_temp.describe(kind text, name text, description text)
LANGUAGE plpgsql AS $$
DECLARE
    parts constant text[] := parse_ident(name);  -- schema, relation, and of a COLUMN its name
    relation constant regclass := format('%I.%I', parts[1], parts[2])::regclass;
    present constant text := CASE kind
        WHEN 'COLUMN' THEN col_description(relation, (
            SELECT attnum FROM pg_catalog.pg_attribute WHERE attrelid = relation AND attname = parts[3]))
        ELSE obj_description(relation, 'pg_class')
    END;
BEGIN
    IF present IS DISTINCT FROM description THEN
        EXECUTE format('COMMENT ON %s %s IS %L', kind, name, description);
    END IF;
END;
$$;
