"""Gathers the evidence: from a trigger of ours, from fires, from Redis, and from the clock itself."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import redis

from core.cron.spec import CronSpec
from core.results.codec import decode_result
from core.results.keys import results_key
from tests.chaos import losses, newcomers
from tests.chaos.clock import Timeline, full_minutes
from tests.chaos.ledger import Evidence, Result
from tests.chaos.world import Loss
from tests.support.databases import Connection, one, rows, run

MODELS = 1000
CRON = "* * * * *"
ZONES = ["UTC", "Europe/Warsaw", "Asia/Kolkata", "Australia/Lord_Howe"]
COUNTED = "counted"  # name of the models that the ledger counts
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Every change of last_due_at, in the transaction that makes it, whoever makes it and however.
RECORD = """
    CREATE TABLE chaos.fired (cron_expression text, timezone text, due_at timestamptz);
    CREATE FUNCTION chaos.record() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
        IF NEW.last_due_at IS NOT NULL AND (TG_OP = 'INSERT' OR NEW.last_due_at IS DISTINCT FROM OLD.last_due_at) THEN
            INSERT INTO chaos.fired VALUES (NEW.cron_expression, NEW.timezone, NEW.last_due_at);
        END IF;
        RETURN NULL;
    END;
    $$;
    CREATE TRIGGER record AFTER INSERT OR UPDATE ON public.crons FOR EACH ROW EXECUTE FUNCTION chaos.record();
"""
FILL = """
    INSERT INTO metrics_executions (model_id, name, cron_expression, timezone)
    SELECT gen_random_uuid(), %s, %s, (%s::text[])[number %% %s + 1] FROM generate_series(1, %s) AS number
"""
LABEL = """
    INSERT INTO results (model_id, y_true, y_pred, "timestamp")
    SELECT model_id, '[0, 1, 1, 0]', '[0, 1, 0, 0]', public.schedule_now() FROM metrics_executions WHERE name = %s
"""


def prepare(db: Connection) -> datetime:
    """Make the models that count, and the record; the answer is since when their moments count."""
    run(db, RECORD)
    run(db, FILL, COUNTED, CRON, ZONES, len(ZONES), MODELS)
    run(db, LABEL, COUNTED)
    [(first, last)] = rows(db, "SELECT min(active_since), max(active_since) FROM metrics_executions")
    assert full_minutes(first, last) == [], "the models were not made within one minute of the clock"
    began: datetime = last
    return began


def gather(db: Connection, client: redis.Redis, began: datetime, until: datetime) -> Evidence:
    """Return what is there of the moments from began to until."""
    fired, models = defaultdict(set), defaultdict(list)
    for cron, zone, due_at in rows(db, "SELECT * FROM chaos.fired"):
        fired[CronSpec(cron, zone)].add(due_at)
    for model_id, cron, zone in rows(
        db, "SELECT model_id::text, cron_expression, timezone FROM metrics_executions WHERE name = %s", COUNTED
    ):
        models[CronSpec(cron, zone)].append(model_id)
    scratch = {model_id for (model_id,) in rows(db, "SELECT model_id::text FROM chaos.scratch")}
    return Evidence(
        passed=full_minutes(began, until),
        fired=fired,
        # Of earlier due times are only those of junk rows.
        skipped=int(one(db, "SELECT coalesce(sum(skipped), 0) FROM fires WHERE due_at > %s", began)),
        models=models,
        results=results(client, scratch),
        newcomers=newcomers.expected(db),
    )


def results(client: redis.Redis, ignored: Collection[str]) -> dict[str, list[Result]]:
    """Return all results that are in Redis, by model, but for those of ignored models."""
    prefix = results_key("")
    found: dict[str, list[Result]] = {}
    for name in client.scan_iter(match=prefix + "*", count=10_000):
        model_id = name.decode().removeprefix(prefix)
        if model_id in ignored:
            continue
        members: Any = client.zrange(name, 0, -1, withscores=True)
        found[model_id] = [result(model_id, member, score) for member, score in members]
    return found


def result(model_id: str, member: bytes, score: float) -> Result:
    decoded = decode_result(model_id, member)
    outcome = decoded.status if decoded.status == "ok" else f"{decoded.status}: {decoded.error}"
    moment = EPOCH + timedelta(milliseconds=round(score * 1000))
    return Result(moment, decoded.due_at, decoded.calculated_at, outcome)


def excused(evidence: Evidence, timeline: Timeline, happened: Sequence[Loss]) -> dict[CronSpec, set[datetime]]:
    """Return the moments that a loss of data excuses.

    A Redis that lost all gets the latest moment again, earlier ones are gone.
    Without crons nobody knows what was sent, so that what Redis loses then is gone.
    The end of a file costs nothing.
    """
    lost: dict[CronSpec, set[datetime]] = defaultdict(set)
    for loss in happened:
        for pair, fired in evidence.fired.items():
            before = {moment for moment in fired if timeline.real(moment) <= loss.at}
            if loss.kind == losses.EMPTIED and before:
                lost[pair] |= before - {max(before)}
            elif loss.kind == losses.TRUNCATED and any(is_of_redis(later) and later.at > loss.at for later in happened):
                lost[pair] |= before
    return dict(lost)


def is_of_redis(loss: Loss) -> bool:
    return loss.kind in {losses.EMPTIED, losses.SHORTENED}
