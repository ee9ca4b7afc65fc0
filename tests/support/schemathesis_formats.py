"""Values for the string formats of the API contract, and schedules and results for calls with them."""

import random
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import schemathesis
from hypothesis import strategies as st

from core.results.models import Result
from core.results.repository import ResultStore
from tests.support import cron_model
from tests.support.cron_strings import valid_expression
from tests.support.databases import MODEL, Connection, execute, model_ids, schedule

TIME_ZONES = re.findall(r"\('([^']+)'\)", Path("sql/repeatable/020_time_zones.sql").read_text())
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)  # as in the contract's examples
ENTITY_TAGS = ["*", '"2f7d1c0b9a8e4d6f3b5a7c91"', 'W/"2f7d1c0b9a8e4d6f3b5a7c91", "x"']
SCHEDULED_MODELS = [MODEL, *model_ids(9)]
MODELS_WITH_RESULTS = SCHEDULED_MODELS[:6]


def register_formats(cursor: str) -> None:
    """Register a generator for each format; cursor is a valid pagination cursor."""
    rng = random.Random(7)
    crons = [
        cron for cron in (valid_expression(rng) for _ in range(2000)) if cron_model.is_valid(cron_model.normalize(cron))
    ]
    schemathesis.openapi.format("cron", st.sampled_from(crons))
    schemathesis.openapi.format("iana-time-zone", st.sampled_from(TIME_ZONES))
    schemathesis.openapi.format("uuid", st.sampled_from(SCHEDULED_MODELS) | st.uuids().map(str))
    schemathesis.openapi.format("cursor", st.just(cursor))
    schemathesis.openapi.format("entity-tags", st.sampled_from(ENTITY_TAGS))


def insert_test_data(db: Connection, results: ResultStore) -> None:
    """Insert schedules, some with results, so that calls find them; /status reports no problems."""
    for model_id in SCHEDULED_MODELS:
        schedule(db, model_id)
    execute(db, "UPDATE leader SET name = 'scheduler-1:7', since = now(), looked_at = now() + interval '1 hour'")
    due_times = [NOON + timedelta(minutes=minute) for minute in range(5)]
    results.save(
        Result(model_id, due_at, due_at, status="ok", accuracy=0.9, samples=10, result_id=1, data_timestamp=NOON)
        for model_id in MODELS_WITH_RESULTS
        for due_at in due_times
    )
