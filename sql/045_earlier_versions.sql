-- Removes indexes of earlier versions. A separate script, and so a separate transaction: DROP INDEX waits for all
-- transactions that use the table, and its lock timeout must not roll back the new indexes of 040, which take a while
-- to build for a large table.

-- Replaced by metrics_executions_enabled, which has model_id among its keys.
DROP INDEX IF EXISTS public.metrics_executions_due;
