"""Collection of the observations: records of a trigger on crons, the table fires, and the results in Redis."""

from collections import defaultdict
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

import redis

from core.cron.spec import CronSpec
from core.results.codec import decode_result
from core.results.keys import results_key
from tests.chaos import counted_models, scratch_models, single_run_models
from tests.chaos.reconciliation import Observations, StoredResult
from tests.chaos.timeline import full_minutes
from tests.support.databases import Connection, fetch_all, fetch_value

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SCAN_COUNT = 10_000  # keys

# Records each change of last_due_at in the transaction of the change, independently of its author.
DDL = """
    CREATE TABLE chaos.published (cron_expression text, timezone text, due_at timestamptz);
    CREATE FUNCTION chaos.record() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
        IF NEW.last_due_at IS NOT NULL AND (TG_OP = 'INSERT' OR NEW.last_due_at IS DISTINCT FROM OLD.last_due_at) THEN
            INSERT INTO chaos.published VALUES (NEW.cron_expression, NEW.timezone, NEW.last_due_at);
        END IF;
        RETURN NULL;
    END;
    $$;
    CREATE TRIGGER record AFTER INSERT OR UPDATE ON public.crons FOR EACH ROW EXECUTE FUNCTION chaos.record();
"""
PUBLISHED = "SELECT cron_expression, timezone, due_at FROM chaos.published"
COUNTED_MODELS = "SELECT model_id::text, cron_expression, timezone FROM metrics_executions WHERE name = %s"
# Earlier due times are those of junk rows only.
SKIPPED = "SELECT coalesce(sum(skipped), 0) FROM fires WHERE due_at > %s"


def collect(db: Connection, client: redis.Redis, start: datetime, end: datetime) -> Observations:
    """Return the observations of the due times from start (exclusive) to end (inclusive)."""
    published, models = defaultdict(set), defaultdict(list)
    for cron, zone, due_at in fetch_all(db, PUBLISHED):
        published[CronSpec(cron, zone)].add(due_at)
    for model_id, cron, zone in fetch_all(db, COUNTED_MODELS, counted_models.NAME):
        models[CronSpec(cron, zone)].append(model_id)
    return Observations(
        due_times=full_minutes(start, end),
        published=published,
        skipped=int(fetch_value(db, SKIPPED, start)),
        models=models,
        results=_read_results(client, ignored=scratch_models.model_ids(db)),
        single_runs=single_run_models.due_times(db),
    )


def _read_results(client: redis.Redis, *, ignored: Collection[str]) -> dict[str, list[StoredResult]]:
    """Return the results of each model in Redis, except for ignored models."""
    prefix = results_key("")
    results: dict[str, list[StoredResult]] = {}
    for key in client.scan_iter(match=prefix + "*", count=SCAN_COUNT):
        model_id = key.decode().removeprefix(prefix)
        if model_id in ignored:
            continue
        members: Any = client.zrange(key, 0, -1, withscores=True)
        results[model_id] = [_decode(model_id, member, score) for member, score in members]
    return results


def _decode(model_id: str, member: bytes, score: float) -> StoredResult:
    result = decode_result(model_id, member)
    outcome = result.status if result.status == "ok" else f"{result.status}: {result.error}"
    due_at = EPOCH + timedelta(milliseconds=round(score * 1000))
    return StoredResult(due_at, result.due_at, result.calculated_at, outcome)
