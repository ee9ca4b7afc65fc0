"""How soon the pages are there at a million schedules, and what 200 open ones take: python -m benchmarks.pages.

A real API, a million schedules in 36,000 pairs, 20 results of each model that is shown. An open page asks for itself a
second after each answer; how long it takes until it shows a change counts from the commit.
"""

import argparse
import gzip
import itertools
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import redis

from benchmarks.api_fixture import Setup, prepared
from benchmarks.load_generator import Load, measure
from benchmarks.page_viewers import Seen, Viewers
from core.results.models import Result
from core.results.repository import ResultStore
from devstack.ports import HOST
from tests.support.databases import rows, run, wait_for
from tests.support.processes import cpu_seconds

SCHEDULES, MODELS = 1_000_000, 100_000
VIEWERS = 200
SECONDS = 20.0
CHANGE_EVERY = 3.0  # seconds
HISTORY = 20  # results of a model
RATE = 50  # requests of other clients in a second
NAME = "UPDATE metrics_executions SET name = %(mark)s WHERE model_id = %(model_id)s"  # on the first page
LEADER = "UPDATE leader SET name = %(mark)s"  # on all
STATIC = Path("api/pages/static")
NUMBERS = itertools.count()


def main() -> None:
    """Run the bench."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    with prepared(SCHEDULES, MODELS) as setup:
        print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()},", end=" ")
        print(f"PostgreSQL {setup.version}, {SCHEDULES:,} schedules; medians of {arguments.runs} (least to most)")
        report = bench(setup, arguments.runs, VIEWERS, SECONDS)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2))


def bench(setup: Setup, runs: int, viewers: int, seconds: float) -> dict[str, Any]:
    """Measure and print everything."""
    models = shown_models(setup)
    report: dict[str, Any] = {"first paint after a start": first_paints(setup, runs)}
    _line("first paint after a start", report["first paint after a start"])
    for name, path in {
        "overview": "/",
        "a search that finds many": "/?search=model+7",
        "a search that finds one": "/?search=model+777777",
        "a search that finds none": "/?search=nobody",
        "failing": "/?status=failing",
        "late": "/?status=late",
        "paused": "/?status=paused",
        "a model": f"/models/{models[0]}",
    }.items():
        report[name] = [1000 * seconds_for(setup.api, path)[0] for _ in range(2 * runs)]
        _line(name, report[name])
    report["bytes"], report["bytes compressed"] = weight(setup)
    size, compressed = report["bytes"] / 1000, report["bytes compressed"] / 1000
    print(f"{'weight of the overview':34}{size:9.1f} kB, compressed {compressed:.1f} kB")
    alone = measure(_load(setup, seconds / 2))
    print(f"{'GET result, no page open':34}{alone.p50:9.1f} ms, p99 {alone.p99:.1f} ms")
    crons = random.Random(6).sample(setup.crons, viewers)
    filtered = [f"/?{urlencode({'cron': cron})}" for cron in crons]
    for name, paths, change in [("all the same", ["/"] * viewers, NAME), ("all different", filtered, LEADER)]:
        report[name] = watched(setup, change, models[0], paths, seconds)
        show(f"{viewers} open pages, {name}", report[name])
    return report


def shown_models(setup: Setup) -> list[str]:
    """Give the models on the first page a history, and return them."""
    models = [
        row[0] for row in rows(setup.db, "SELECT model_id::text FROM metrics_executions ORDER BY model_id LIMIT 200")
    ]
    with redis.Redis.from_url(setup.redis_url) as client:
        stored = ResultStore(client)
        [[now]] = rows(setup.db, "SELECT due_at FROM fires")
        for model in models:
            moments = [now - timedelta(hours=ago) for ago in range(HISTORY)]
            stored.save(Result(model, at, at, "ok", 0.9 + ago / 1000, 1000) for ago, at in enumerate(moments))
    return models


def seconds_for(port: int, path: str) -> tuple[float, bytes]:
    """Return how long it takes to render a page and to send it, and the page."""
    headers = {"Accept": "text/html", "Cache-Control": "no-cache"}  # not one of a moment ago
    request = urllib.request.Request(f"http://{HOST}:{port}{path}", headers=headers)
    began = time.perf_counter()
    with urllib.request.urlopen(request, timeout=30) as answer:
        body = answer.read()
    return time.perf_counter() - began, body


def first_paints(setup: Setup, runs: int) -> list[float]:
    """Return milliseconds of the first request to a new process."""
    found = []
    for _ in range(runs):
        setup.process.stop()
        already = setup.process.output.count("Serving on")
        setup.process.start()
        wait_for(lambda already=already: setup.process.output.count("Serving on") > already)  # type: ignore[misc]
        found.append(1000 * seconds_for(setup.api, "/")[0])
    return found


def weight(setup: Setup) -> tuple[int, int]:
    """Return the bytes of the overview with all that it fetches, and compressed."""
    parts = [seconds_for(setup.api, "/")[1], *(file.read_bytes() for file in STATIC.iterdir())]
    return sum(map(len, parts)), sum(len(gzip.compress(part)) for part in parts)


def watched(setup: Setup, change: str, model: str, paths: Sequence[str], seconds: float) -> dict[str, Any]:
    """Let pages be open, change something now and then, and measure how soon they show it and what they cost others."""
    with ThreadPoolExecutor() as pool:
        viewers = pool.submit(see, Viewers(setup.api, seconds, list(paths)))
        time.sleep(min(3.0, seconds / 4))
        others = pool.submit(measure, _load(setup, seconds / 2))
        cpu, began = cpu_seconds(setup.process.popen.pid), time.monotonic()
        changes: dict[int, float] = {}  # by number; those of an earlier run have others
        while time.monotonic() < began + seconds - 3 * CHANGE_EVERY or not changes:
            number = next(NUMBERS)
            run(setup.db, change, {"mark": f"mark-{number}-", "model_id": model})
            changes[number] = time.monotonic()
            time.sleep(min(CHANGE_EVERY, seconds / 4))
        share = (cpu_seconds(setup.process.popen.pid) - cpu) / (time.monotonic() - began)
        seen = viewers.result()
    delays = sorted(at - changes[mark] for mark, at in seen.marks if mark in changes)
    return {
        "questions per second": len(seen.latencies) / seconds,
        "statuses": seen.statuses,
        "bytes per second": seen.bytes / seconds,
        "seconds to answer": sorted(seen.latencies),
        "seconds until a change shows": delays,
        "changes overtaken": len(changes) * len(paths) - len(delays),
        "processor": share,
        "meanwhile": asdict(others.result()),
    }


def see(viewers: Viewers) -> Seen:
    """Have pages open, in a process of their own."""
    command = [sys.executable, "-m", "benchmarks.page_viewers"]
    ran = subprocess.run(command, input=json.dumps(asdict(viewers)), capture_output=True, text=True, check=True)
    return Seen(**json.loads(ran.stdout))


def show(name: str, found: dict[str, Any]) -> None:
    answers, delays, meanwhile = (
        found[it] for it in ("seconds to answer", "seconds until a change shows", "meanwhile")
    )
    rate, size = found["questions per second"], found["bytes per second"] / 1000
    print(f"{name}: {rate:.0f} questions/s, {size:.0f} kB/s, {found['statuses']}")
    print(f"{'':4}answers: p50 {1000 * quantile(answers, 0.5):.1f} ms, p99 {1000 * quantile(answers, 0.99):.1f} ms")
    print(f"{'':4}a change shows after {quantile(delays, 0.5):.2f} s (median of {len(delays)}),", end=" ")
    print(f"at most {delays[-1]:.2f} s; {found['changes overtaken']} were overtaken by the next")
    print(f"{'':4}the API takes {found['processor']:.0%} of a processor; GET result meanwhile:", end=" ")
    print(f"{meanwhile['p50']:.1f} ms, p99 {meanwhile['p99']:.1f} ms, {meanwhile['failed']} failed")


def _load(setup: Setup, seconds: float) -> Load:
    return Load(setup.api, seconds, 1, setup.calls()["GET result"][1][:1000], RATE)


def quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _line(name: str, taken: list[float]) -> None:
    print(f"{name:34}{statistics.median(taken):9.1f} ms ({min(taken):.1f} to {max(taken):.1f})")


if __name__ == "__main__":
    main()
