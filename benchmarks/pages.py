"""Response time of the pages at a million schedules, and the load of 200 open ones: python -m benchmarks.pages.

A real API, a million schedules in 36,000 cron specs, 20 results of each model that is shown. An open page requests
itself a second after each response; the delay until it shows a change counts from the commit.
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
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode

import redis

from benchmarks.api_fixture import ApiFixture, running_api
from benchmarks.load_generator import Load, LoadResult, measure
from benchmarks.page_viewers import PageViewers, SeenMark, ViewerResult
from core.results.models import Result
from core.results.repository import ResultStore
from devstack.ports import HOST
from tests.support.databases import execute, fetch_all, wait_for
from tests.support.processes import cpu_seconds

SCHEDULES, MODELS = 1_000_000, 100_000
VIEWERS = 200
SECONDS = 20.0
CHANGE_INTERVAL = 3.0  # seconds
HISTORY = 20  # results of a model
OTHER_REQUESTS = 50  # of another client, per second
RENAME_MODEL = "UPDATE metrics_executions SET name = %(mark)s WHERE model_id = %(model_id)s"  # on the first page
RENAME_LEADER = "UPDATE leader SET name = %(mark)s"  # on all pages
STATIC_DIR = Path("api/pages/static")
FIRST_REQUEST = "overview, first request after a start"
PATHS = {
    "overview": "/",
    "search with many matches": "/?search=model+7",
    "search with one match": "/?search=model+777777",
    "search without a match": "/?search=nobody",
    "failing": "/?status=failing",
    "late": "/?status=late",
    "paused": "/?status=paused",
}
mark_numbers = itertools.count()


@dataclass(frozen=True)
class OpenPages:
    """Measurements while pages are open."""

    requests_per_second: float
    statuses: dict[int, int]
    bytes_per_second: float
    latencies: list[float]  # seconds, sorted
    change_delays: list[float]  # seconds from a commit until a page shows it, sorted
    overtaken_changes: int  # followed by the next one before a page showed them
    cpu: float  # processor seconds of the API per second
    other_client: LoadResult


@dataclass(frozen=True)
class PageReport:
    """Measurements of the pages."""

    response_times: dict[str, list[float]]  # milliseconds
    size: int  # bytes of the overview and its static files
    compressed_size: int
    open_pages: dict[str, OpenPages]


def main() -> None:
    """Run the benchmark, print the figures, and write them as JSON if --json is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    with running_api(SCHEDULES, MODELS) as api:
        print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()},", end=" ")
        print(f"PostgreSQL {api.postgres_version}, {SCHEDULES:,} schedules; medians of {arguments.runs} (min to max)")
        report = benchmark(api, arguments.runs, VIEWERS, SECONDS)
    if arguments.json:
        arguments.json.write_text(json.dumps(asdict(report), indent=2))


def benchmark(api: ApiFixture, runs: int, viewers: int, seconds: float) -> PageReport:
    """Measure and print everything."""
    models = add_histories(api)
    response_times = measure_response_times(api, models[0], runs)
    size, compressed_size = overview_size(api)
    print(f"{'size of the overview':40}{size / 1000:9.1f} kB, compressed {compressed_size / 1000:.1f} kB")
    idle = measure(_other_load(api, seconds / 2))
    print(f"{'GET result, no page open':40}{idle.p50:9.1f} ms, p99 {idle.p99:.1f} ms")
    cron_expressions = random.Random(6).sample(api.cron_expressions, viewers)
    filtered = [f"/?{urlencode({'cron': cron_expression})}" for cron_expression in cron_expressions]
    open_pages = {}
    for name, paths, change in [
        ("identical", ["/"] * viewers, RENAME_MODEL),
        ("different", filtered, RENAME_LEADER),
    ]:
        open_pages[name] = measure_open_pages(api, change, models[0], paths, seconds)
        print_open_pages(f"{viewers} open pages, {name}", open_pages[name])
    return PageReport(response_times, size, compressed_size, open_pages)


def measure_response_times(api: ApiFixture, model_id: str, runs: int) -> dict[str, list[float]]:
    """Return the milliseconds of each kind of page; prints them."""
    response_times = {FIRST_REQUEST: first_response_times(api, runs)}
    _print_times(FIRST_REQUEST, response_times[FIRST_REQUEST])
    for name, path in {**PATHS, "model": f"/models/{model_id}"}.items():
        response_times[name] = [fetch(api.api_port, path).milliseconds for _ in range(2 * runs)]
        _print_times(name, response_times[name])
    return response_times


def add_histories(api: ApiFixture) -> list[str]:
    """Add a history to the models on the first page, and return them."""
    models = [
        row[0] for row in fetch_all(api.db, "SELECT model_id::text FROM metrics_executions ORDER BY model_id LIMIT 200")
    ]
    with redis.Redis.from_url(api.redis_url) as client:
        store = ResultStore(client)
        [[last_due_at]] = fetch_all(api.db, "SELECT due_at FROM fires")
        due_times = [last_due_at - timedelta(hours=hours) for hours in range(HISTORY)]
        for model in models:
            store.save(Result(model, at, at, "ok", 0.9 + hours / 1000, 1000) for hours, at in enumerate(due_times))
    return models


@dataclass(frozen=True)
class FetchedPage:
    """A page, and the time to render and send it."""

    milliseconds: float
    body: bytes


def fetch(port: int, path: str) -> FetchedPage:
    headers = {"Accept": "text/html", "Cache-Control": "no-cache"}  # not one from the page cache
    request = urllib.request.Request(f"http://{HOST}:{port}{path}", headers=headers)
    started_at = time.perf_counter()
    with urllib.request.urlopen(request, timeout=30) as response:
        body = response.read()
    return FetchedPage(1000 * (time.perf_counter() - started_at), body)


def first_response_times(api: ApiFixture, runs: int) -> list[float]:
    """Return the milliseconds of the first request to a new process."""
    times = []
    for _ in range(runs):
        api.api_process.stop()
        api.api_process.start()
        wait_for(lambda: "Serving on" in api.api_process.latest_output)
        times.append(fetch(api.api_port, "/").milliseconds)
    return times


def overview_size(api: ApiFixture) -> tuple[int, int]:
    """Return the bytes of the overview and all its static files, and of their compressed forms."""
    parts = [fetch(api.api_port, "/").body, *(file.read_bytes() for file in STATIC_DIR.iterdir())]
    return sum(map(len, parts)), sum(len(gzip.compress(part)) for part in parts)


def measure_open_pages(api: ApiFixture, change: str, model_id: str, paths: Sequence[str], seconds: float) -> OpenPages:
    """Open pages, change something repeatedly, and measure the delay on the pages and the effect on another client."""
    with ThreadPoolExecutor() as pool:
        viewers = pool.submit(run_viewers, PageViewers(api.api_port, seconds, paths))
        time.sleep(min(3.0, seconds / 4))
        other_client = pool.submit(measure, _other_load(api, seconds / 2))
        cpu, started_at = cpu_seconds(api.api_process.popen.pid), time.monotonic()
        committed_at: dict[int, float] = {}  # by number, which is unique among all calls
        while time.monotonic() < started_at + seconds - 3 * CHANGE_INTERVAL or not committed_at:
            number = next(mark_numbers)
            execute(api.db, change, {"mark": f"mark-{number}-", "model_id": model_id})
            committed_at[number] = time.monotonic()
            time.sleep(min(CHANGE_INTERVAL, seconds / 4))
        cpu_share = (cpu_seconds(api.api_process.popen.pid) - cpu) / (time.monotonic() - started_at)
        result = viewers.result()
    delays = sorted(mark.seen_at - committed_at[mark.number] for mark in result.marks if mark.number in committed_at)
    return OpenPages(
        requests_per_second=len(result.latencies) / seconds,
        statuses=result.statuses,
        bytes_per_second=result.bytes / seconds,
        latencies=sorted(result.latencies),
        change_delays=delays,
        overtaken_changes=len(committed_at) * len(paths) - len(delays),
        cpu=cpu_share,
        other_client=other_client.result(),
    )


def run_viewers(viewers: PageViewers) -> ViewerResult:
    """Run viewers in a process of their own."""
    command, text = [sys.executable, "-m", "benchmarks.page_viewers"], json.dumps(asdict(viewers))
    completed = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    fields = json.loads(completed.stdout)
    return ViewerResult(**{**fields, "marks": [SeenMark(*mark) for mark in fields["marks"]]})


def print_open_pages(label: str, pages: OpenPages) -> None:
    rate, size, delays = pages.requests_per_second, pages.bytes_per_second / 1000, pages.change_delays
    print(f"{label}: {rate:.0f} requests/s, {size:.0f} kB/s, {pages.statuses}")
    p50, p99 = (1000 * quantile(pages.latencies, share) for share in (0.5, 0.99))
    print(f"{'':4}responses: p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    print(f"{'':4}a change is visible after {quantile(delays, 0.5):.2f} s (median of {len(delays)}),", end=" ")
    print(f"at most {delays[-1]:.2f} s; {pages.overtaken_changes} were overtaken by the next")
    print(f"{'':4}the API uses {pages.cpu:.0%} of a processor; GET result meanwhile:", end=" ")
    other = pages.other_client
    print(f"{other.p50:.1f} ms, p99 {other.p99:.1f} ms, {other.failed} failed")


def _other_load(api: ApiFixture, seconds: float) -> Load:
    requests = api.endpoints()["GET result"].requests[:1000]
    return Load(api.api_port, seconds, 1, requests, OTHER_REQUESTS)


def quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _print_times(name: str, times: list[float]) -> None:
    print(f"{name:40}{statistics.median(times):9.1f} ms ({min(times):.1f} to {max(times):.1f})")


if __name__ == "__main__":
    main()
