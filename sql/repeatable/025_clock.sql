-- Clock of the whole system.

CREATE OR REPLACE FUNCTION public.schedule_now() RETURNS timestamptz
LANGUAGE sql VOLATILE PARALLEL SAFE
RETURN clock_timestamp();

COMMENT ON FUNCTION public.schedule_now() IS
    'The clock of the whole system, read by the scheduler and the triggers, so that clocks of other hosts cannot shift a '
    'fire. Tests set the time by replacing this function.';
