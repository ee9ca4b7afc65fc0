"""Junk: data that others may write, and durations for which it stays."""

from tests.chaos.faults.context import FaultContext

NOTIFY_CHANNEL = "metrics_executions"
NOT_UTF8 = b"\xff\xfe\x00"

# Seconds; longer than the lateness that is allowed, so that a result that waits for the end of the junk is late.
DURATION = 6.5, 9.0
# The same for junk that may delay new cron specs and run requests: single-run models are due some seconds after the
# insert, and late after that.
SINGLE_RUN_DURATION = 15.0, 18.0


def keep(context: FaultContext) -> None:
    """Wait for the duration of junk that may delay models with known cron specs."""
    context.wait_between(*DURATION)


def keep_for_single_runs(context: FaultContext) -> None:
    """Wait for the duration of junk that may delay single-run models."""
    context.wait_between(*SINGLE_RUN_DURATION)
