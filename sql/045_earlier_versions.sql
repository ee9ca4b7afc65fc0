-- What earlier versions had. A script of its own: dropping an index must wait for all that use the table, and would undo,
-- where it waits too long, the building of the indexes of 040, which takes a while for a large table.

-- Without metrics_executions.model_id among its keys; metrics_executions_enabled has taken its place.
DROP INDEX IF EXISTS public.metrics_executions_due;
