"""Evaluation of a label row: its metrics as a result."""

import logging
from dataclasses import replace
from datetime import datetime

from core.postgres import MAX_TIMESTAMP, MIN_TIMESTAMP
from core.results.models import Result
from worker.metrics.accuracy import InvalidLabels, score
from worker.queries import NewestRow

log = logging.getLogger(__name__)

TOO_LARGE = "the row is too large for the worker's memory"


def evaluate(row: NewestRow, due_at: datetime) -> Result:
    """Return the result of a label row; any error of the row becomes an error result, and never ends the batch."""
    result = Result(
        row.model_id, due_at, row.read_at, "error", result_id=row.result_id, data_timestamp=row.timestamp,
        row_version=row.version or "",
    )  # fmt: skip
    if row.y_true is None or row.y_pred is None:
        return replace(result, status="no_data", error="the model has no row in results")
    try:
        _check_timestamp(row)
        accuracy, samples, confusion = score(row.y_true, row.y_pred)
    except InvalidLabels as error:
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
    """Raise InvalidLabels for a timestamp that Python cannot represent, and that is read as another one."""
    if row.timestamp in {MIN_TIMESTAMP, MAX_TIMESTAMP}:
        raise InvalidLabels(
            f"the timestamp of the row is not of the years {MIN_TIMESTAMP.year} to {MAX_TIMESTAMP.year}"
        )
