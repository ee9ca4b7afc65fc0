-- The roles of the services and of the users' own programs, each with the least that it needs (grants: 070).
-- A role that exists already is left as it is: who made it decides its password and options. The comment marks the
-- roles that were made here, and only those are given a password by sql/apply.py.

DO $$
DECLARE
    role record;
BEGIN
    FOR role IN
        SELECT * FROM (VALUES
            ('metrics_api',       'Cyclic Metrics: the REST API'),
            ('metrics_scheduler', 'Cyclic Metrics: the scheduler'),
            ('metrics_worker',    'Cyclic Metrics: the workers'),
            ('metrics_client',    'Cyclic Metrics: the users'' own programs')
        ) AS roles (name, comment)
    LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = role.name);
        BEGIN
            EXECUTE format('CREATE ROLE %I LOGIN', role.name);
            EXECUTE format('COMMENT ON ROLE %I IS %L', role.name, role.comment);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;  -- roles belong to the whole server: another database of it was set up in the same instant
        END;
    END LOOP;
END;
$$;
