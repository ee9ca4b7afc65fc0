"""How soon things go on after a failure, on the real clock: python -m benchmarks.outages [RUNS].

Real servers and processes with their default settings, models due every minute. First the
leader fails, again and again, on a machine that has nothing else to do; then, side by side,
each with servers and processes of its own, PostgreSQL and Redis are away for three minutes
and workers are killed in the middle of a batch. Prints how long each took, and ends with 1
where anything is missing or twice, or a process exited by itself.
"""

import os
import signal
import statistics
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing import get_context

from benchmarks import away, take_overs
from benchmarks.report import Missing, Report, expect, this_minute, timed
from benchmarks.stack import Stack, running
from core.queue.batch import Batch
from devstack.services import WORKER
from scheduler.queue import Queue
from tests.support.workers import child_pids, count_models_with_results, insert_large_batch

LONG = 50_000  # labels of each model of a batch that takes some seconds
BATCH = "batch of a killed worker: last result"
BARS: dict[str, int | None] = {**take_overs.BARS, **away.BARS, BATCH: 180}  # seconds, in the order of the table


def main() -> None:
    """Run the bench, each of the quick take-overs several times (5 unless told)."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    # A process for each scenario: ours start from its main thread, and no measurement waits for another's.
    with ProcessPoolExecutor(len(away.OUTAGES) + 2, mp_context=get_context("spawn")) as processes:
        reports = [processes.submit(tried, take_overs.take_overs, runs).result()]
        side_by_side = [
            processes.submit(tried, away.outage, server, how, 10 * place)
            for place, (server, how) in enumerate(away.OUTAGES, 1)
        ]
        side_by_side += [processes.submit(tried, killed_worker, number) for number in (1, 2)]
        reports += [report.result() for report in side_by_side]
    print(f"\nload after {os.getloadavg()[0]:.1f}")
    print_table([figure for report in reports for figure in report.figures])
    faults = [f"{report.name}: {fault}" for report in reports for fault in dict.fromkeys(report.faults)]
    print(f"\n{sum(report.watched for report in reports)} processes watched;", end=" ")
    print("\n    ".join(["FAULTS:", *faults]) if faults else "none exited by itself; nothing is missing or twice")
    sys.exit(bool(faults))


def print_table(figures: Sequence[tuple[str, float]]) -> None:
    print(f"\n{'seconds to':56} {'bar':>5} {'median':>8} {'worst':>8} {'runs':>5}")
    for what, bar in BARS.items():
        took = [seconds for name, seconds in figures if name == what]
        median, worst = (f"{function(took):.2f}" if took else "-" for function in (statistics.median, max))
        above = "  above its bar" if bar and took and max(took) > bar else ""
        print(f"{what:56} {bar or '-':>5} {median:>8} {worst:>8} {len(took):5}{above}")


def tried(scenario: Callable[..., None], *arguments: object) -> Report:
    """Return the report of a scenario, which is given a stack, the report, and the arguments."""
    report = Report(" ".join(map(str, [scenario.__name__.replace("_", " "), *arguments])))
    with running() as stack:
        try:
            scenario(stack, report, *arguments)
        except Missing as fault:
            report.faults.append(str(fault))
        report.faults += stack.exits()
        report.watched += stack.watched
        if report.faults:
            print(f"\n{report.name}: {report.faults}\n{stack.last_words()}\n", flush=True)
    return report


def killed_worker(stack: Stack, report: Report, number: int) -> None:
    ids = insert_large_batch(stack.db, 100, LONG)
    workers = [stack.start(f"worker {place}", WORKER) for place in (1, 2)]
    due_at = this_minute()
    Queue(stack.client).send(Batch(ids, due_at).message(due_at))
    victim = expect("a worker", lambda: next((each for each in workers if "] received" in each.output), None))
    expect("first results", lambda: count_models_with_results(stack.client))
    stack.forget(victim)

    def kill() -> None:
        pool = child_pids(victim)
        victim.kill()  # first, or it would say what became of its pool
        for child in pool:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)

    seconds = timed(kill, "results of the batch", lambda: stack.has_results(ids, due_at), 300)
    report.figures.append((BATCH, seconds))
    expect("an end of all messages", lambda: not stack.left_messages(), 20)
    report.faults += stack.wrong_results(ids, [due_at])
    print(f"killed worker {number}: {len(ids)} results {seconds:.1f} s after", flush=True)


if __name__ == "__main__":
    main()
