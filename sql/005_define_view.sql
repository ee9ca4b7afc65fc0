-- A tool of the scripts that follow, gone with the session: CREATE OR REPLACE VIEW, but only where it says something new.
-- It takes a lock that waits for whoever has read the view in an open transaction, and holds up all later readers.

CREATE OR REPLACE PROCEDURE pg_temp.define_view(name text, query text)
LANGUAGE plpgsql AS $$
BEGIN
    -- Both as PostgreSQL writes them down: how the query is laid out here makes no difference.
    EXECUTE format('CREATE TEMPORARY VIEW wanted AS %s', query);
    IF pg_get_viewdef(to_regclass(name)) IS DISTINCT FROM pg_get_viewdef(to_regclass('pg_temp.wanted')) THEN
        EXECUTE format('CREATE OR REPLACE VIEW %s AS %s', name, query);
    END IF;
    DROP VIEW pg_temp.wanted;
END;
$$;
