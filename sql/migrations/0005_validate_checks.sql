-- Validates the constraints of 0002 to 0004, which new rows obey already; reading the tables blocks no reader or writer.
-- Rows of before are corrected: crons is computed again by the scheduler, a clock that was set back between two times of
-- a fire left them out of order, and a name that bypassed the triggers is cut to the length that they allow.

DELETE FROM public.crons WHERE num_nonnulls(next_due_at, error) <> 1;
UPDATE public.fires SET fired_at = due_at WHERE fired_at < due_at;
UPDATE public.fires SET finished_at = fired_at WHERE finished_at < fired_at;
UPDATE public.metrics_executions SET name = left(name, 200) WHERE length(name) > 200;

ALTER TABLE public.crons VALIDATE CONSTRAINT crons_check;
ALTER TABLE public.fires VALIDATE CONSTRAINT fires_counts_check, VALIDATE CONSTRAINT fires_times_check;
ALTER TABLE public.metrics_executions VALIDATE CONSTRAINT metrics_executions_name_check;
