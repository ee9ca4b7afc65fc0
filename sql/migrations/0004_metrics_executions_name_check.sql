-- The length of a name, also for rows that bypass the triggers. Validated in 0005. cron_expression and timezone have no
-- such constraint: it would block every change of an invalid row that is there already, even clearing run_requested_at.

ALTER TABLE public.metrics_executions
    ADD CONSTRAINT metrics_executions_name_check CHECK (length(name) <= 200) NOT VALID;

COMMENT ON COLUMN public.metrics_executions.timezone IS
    'IANA time zone in which the cron expression is evaluated; one of time_zones. Any other value is rejected by the '
    'validation trigger with SQLSTATE 23503 (foreign_key_violation), as a foreign key would. It is not one, so that '
    'an import validates each distinct time zone only once.';
COMMENT ON COLUMN public.metrics_executions.cron_expression IS
    'Five fields (minute hour day-of-month month day-of-week) or an alias such as @daily. Stored in lower case with '
    'single blanks. An invalid value is rejected by the validation trigger with SQLSTATE 23514 (check_violation).';
