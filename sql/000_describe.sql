-- Session-local helper of the following scripts: COMMENT ON, executed only if the description has changed.
-- COMMENT ON needs a lock that conflicts with VACUUM of the table, and VACUUM of a large table takes hours.

CREATE OR REPLACE PROCEDURE pg_temp.describe(kind text, name text, description text)
LANGUAGE plpgsql AS $$
DECLARE
    parts constant text[] := parse_ident(name);  -- schema, relation and, for a COLUMN, the column
    relation constant regclass := format('%I.%I', parts[1], parts[2])::regclass;
    current_description constant text := CASE kind
        WHEN 'COLUMN' THEN col_description(relation, (
            SELECT attnum FROM pg_catalog.pg_attribute WHERE attrelid = relation AND attname = parts[3]))
        ELSE obj_description(relation, 'pg_class')
    END;
BEGIN
    IF current_description IS DISTINCT FROM description THEN
        EXECUTE format('COMMENT ON %s %s IS %L', kind, name, description);
    END IF;
END;
$$;
