"""Names of the Redis keys of results, and scores of due times."""

from datetime import datetime

from core.timestamps import EPOCH, MILLISECOND, epoch_milliseconds

FAILING_KEY = "metrics:failing"  # sorted set: models whose latest result is not ok, by the due time since which
COUNTS_KEY = "metrics:counts"  # hash: results added since Redis was empty, by status


def results_key(model_id: str) -> str:
    """Return the name of a model's sorted set of results; model_id is a UUID in lower case."""
    return f"metrics:results:{model_id}"


def confusion_key(model_id: str) -> str:
    """Return the name of the string that holds a model's LatestConfusion."""
    return f"metrics:detail:{model_id}"


def score(due_at: datetime) -> float:
    """Return the score of a due time in the sorted sets: epoch seconds."""
    return epoch_milliseconds(due_at) / 1000


def score_range(since: datetime | None, before: datetime | None) -> tuple[str, str]:
    """Return the scores since (inclusive) to before (exclusive), in the syntax of Redis."""
    lowest = "-inf" if since is None else repr(_ceiling_score(since))
    highest = "+inf" if before is None else f"({_ceiling_score(before)!r}"
    return lowest, highest


def _ceiling_score(instant: datetime) -> float:
    """Return the score of the first millisecond at or after an instant, which may be datetime's last one."""
    return -((EPOCH - instant) // MILLISECOND) / 1000
