-- Roles of the services and of the users' own programs, with the least privileges each needs (grants: 070).
-- An existing role stays unchanged: its creator decides on its password and options. The comment marks the roles that
-- this script has created; sql/apply.py sets the passwords of these only.

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
            NULL;  -- roles belong to the whole server: another of its databases is being set up at the same time
        END;
    END LOOP;
END;
$$;
