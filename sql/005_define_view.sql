-- Session-local helper of the following scripts: CREATE OR REPLACE VIEW, executed only if the query has changed.
-- CREATE OR REPLACE VIEW needs a lock that waits for open transactions that have read the view, and blocks later
-- readers.

CREATE OR REPLACE PROCEDURE pg_temp.define_view(name text, query text)
LANGUAGE plpgsql AS $$
BEGIN
    -- Both are compared as PostgreSQL deparses them, so the layout of the query here makes no difference.
    EXECUTE format('CREATE TEMPORARY VIEW new_definition AS %s', query);
    IF pg_get_viewdef(to_regclass(name)) IS DISTINCT FROM pg_get_viewdef(to_regclass('pg_temp.new_definition')) THEN
        EXECUTE format('CREATE OR REPLACE VIEW %s AS %s', name, query);
    END IF;
    DROP VIEW pg_temp.new_definition;
END;
$$;
