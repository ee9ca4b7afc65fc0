"""The Celery task that the scheduler sends: calculate a batch of models for one due time."""

import logging
import time
from typing import Any

from celery.exceptions import Reject

from core.queue.batch import QUEUED_AT_HEADER, TASK_NAME, Batch, InvalidBatch, parse_queued_at
from worker.app import app
from worker.batch import BatchRun

log = logging.getLogger(__name__)

REQUEUE_DELAY = 1.0  # seconds


@app.task(bind=True, name=TASK_NAME)  # type: ignore[untyped-decorator]  # Celery has no types
def calculate(self: Any, *args: Any, **kwargs: Any) -> None:
    """Calculate and store one result per model; a result that exists for this due time stays.

    The message is acknowledged when every model has its result, or when other messages for the rest of them are in the
    queue.
    """
    try:
        batch = Batch.from_arguments(dict(zip(("model_ids", "due_at"), args, strict=False)) | kwargs)
    except InvalidBatch as error:
        log.error("dropped an invalid message: %s", error)  # noqa: TRY400
        return
    batch_run = BatchRun(
        batch,
        queued_at=parse_queued_at(self.request.get(QUEUED_AT_HEADER)),
        is_redelivered=bool(self.request.delivery_info.get("redelivered")),
    )
    try:
        batch_run.run()
    except Reject:
        raise
    except Exception as error:
        # Nothing else may leave this function: Celery would acknowledge the message, and a MemoryError ends the worker.
        log.exception("batch of %s models failed, requeued", len(batch.model_ids))
        time.sleep(REQUEUE_DELAY)
        raise Reject(error, requeue=True) from error
