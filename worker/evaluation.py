"""What a model's newest row is worth at a moment."""

import logging
from dataclasses import replace
from datetime import datetime

from core.postgres import MAX_TIMESTAMP, MIN_TIMESTAMP
from core.results.models import Result
from worker.metrics.accuracy import CannotBeScored, score
from worker.queries import NewestRow

log = logging.getLogger(__name__)

TOO_LARGE = "the row is too large for the worker's memory"


def evaluate(row: NewestRow, moment: datetime) -> Result:
    """Return what a row is worth; whatever is wrong with it is its own result, never the end of the batch."""
    result = Result(
        row.model_id, moment, row.read_at, "error", result_id=row.result_id, data_timestamp=row.timestamp,
        row_version=row.version or "",
    )  # fmt: skip
    if row.y_true is None or row.y_pred is None:
        return replace(result, status="no_data", error="the model has no row in results")
    try:
        _check_timestamp(row)
        accuracy, samples, confusion = score(row.y_true, row.y_pred)
    except CannotBeScored as error:
        return replace(result, error=str(error))
    except MemoryError:
        return replace(result, error=TOO_LARGE)
    except Exception as error:
        log.exception("model %s, results row %s", row.model_id, row.result_id)
        return replace(result, error=f"{type(error).__name__}: {error}")
    if accuracy is None:
        return replace(result, status="no_data", error="the newest row has no labels")
    return replace(result, status="ok", accuracy=accuracy, samples=samples, confusion=confusion)


def _check_timestamp(row: NewestRow) -> None:
    """Raise CannotBeScored for a time that is read as another one, since Python has no datetime for it."""
    if row.timestamp in {MIN_TIMESTAMP, MAX_TIMESTAMP}:
        raise CannotBeScored(
            f"the timestamp of the row is not of the years {MIN_TIMESTAMP.year} to {MAX_TIMESTAMP.year}"
        )
