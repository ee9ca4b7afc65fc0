"""Failing triggers of users, and cancelled statements."""

from tests.chaos import single_run_models
from tests.chaos.faults import junk
from tests.chaos.faults.context import FaultContext
from tests.chaos.faults.registry import fault
from tests.chaos.scratch_models import repair
from tests.support.databases import execute

RAISING_TRIGGER = """
    CREATE OR REPLACE FUNCTION chaos.refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'rejected by a trigger of the users'; END $$;
    CREATE TRIGGER refuse AFTER UPDATE ON public.metrics_executions FOR EACH ROW EXECUTE FUNCTION chaos.refuse();
"""
# The scheduler has no right to insert into the table.
AUDIT_TRIGGER = """
    CREATE TABLE IF NOT EXISTS public.schedule_audit (model_id uuid, at timestamptz DEFAULT now());
    GRANT INSERT ON public.schedule_audit TO metrics_api, metrics_client;
    CREATE OR REPLACE FUNCTION chaos.audit() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO public.schedule_audit (model_id) VALUES (NEW.model_id); RETURN NULL; END $$;
    GRANT USAGE ON SCHEMA chaos TO PUBLIC;
    CREATE TRIGGER audit AFTER UPDATE ON public.metrics_executions FOR EACH ROW EXECUTE FUNCTION chaos.audit();
"""
CANCEL_STATEMENT = """
    SELECT pg_cancel_backend(pid) FROM (
        SELECT pid FROM pg_stat_activity
        WHERE state = 'active' AND usename IN ('metrics_scheduler', 'metrics_worker') AND datname = current_database()
        ORDER BY random() LIMIT 1) AS backend
"""
CANCELLATIONS = 200


@fault("junk: a trigger that raises", "junk triggers")
def add_raising_trigger(context: FaultContext) -> None:
    keep_trigger(context, "refuse", RAISING_TRIGGER)


@fault("junk: a trigger without its right", "junk triggers")
def add_audit_trigger(context: FaultContext) -> None:
    keep_trigger(context, "audit", AUDIT_TRIGGER)


def keep_trigger(context: FaultContext, name: str, ddl: str) -> None:
    """Create a trigger for some time, with a run request, which the scheduler clears by an UPDATE."""
    try:
        with context.system.owner() as db:
            execute(db, "SET lock_timeout = '3s'")
            execute(db, ddl)
            single_run_models.insert_requested(db)
        junk.keep_for_single_runs(context)
    finally:
        repair(lambda: drop_trigger(context, name))


def drop_trigger(context: FaultContext, name: str) -> None:
    with context.system.owner() as db:
        execute(db, f"SET lock_timeout = '1s'; DROP TRIGGER IF EXISTS {name} ON public.metrics_executions")


@fault("junk: cancelled statements", "junk cancellations")
def cancel_statements(context: FaultContext) -> None:
    """Cancel statements, as an administrator or the statement timeout of an overloaded server does."""
    with context.system.owner() as db:
        for _ in range(CANCELLATIONS):
            if context.stopping.is_set():
                return
            execute(db, CANCEL_STATEMENT)
            context.wait_between(0.01, 0.06)
