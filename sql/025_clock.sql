-- The clock of the whole system.

CREATE OR REPLACE FUNCTION public.schedule_now() RETURNS timestamptz
LANGUAGE sql VOLATILE PARALLEL SAFE
RETURN clock_timestamp();

COMMENT ON FUNCTION public.schedule_now() IS
    'The clock of the whole system. Scheduler and triggers ask it, so clocks of other hosts cannot move a fire; a test sets the time by replacing it.';
