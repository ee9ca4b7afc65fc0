"""Recovery time after failures, on the real clock: python -m benchmarks.outages [RUNS].

Real servers and processes with their default settings, models due every minute. First the
leader fails repeatedly, on an otherwise idle machine; then, in parallel, each with servers and
processes of its own, PostgreSQL and Redis are unavailable for three minutes, and workers are
killed in the middle of a batch. Prints the delays, and exits with 1 if a result is missing or
duplicate, or a process exited by itself.
"""

import os
import signal
import statistics
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing import get_context

from benchmarks import backend_outages, leader_failover
from benchmarks.scenario_report import Delay, NotObserved, ScenarioReport, current_minute, expect, measure
from benchmarks.stack import Stack, running
from core.queue.batch import Batch
from devstack.services import WORKER
from scheduler.queue import Queue
from tests.support.workers import child_pids, count_models_with_results, insert_large_batch

BATCH_LABELS = 50_000  # of each model, so that the batch takes some seconds
KILLED_WORKER = "batch of a killed worker: last result"
LIMITS: dict[str, int | None] = {  # seconds, in the order of the table
    **leader_failover.LIMITS,
    **backend_outages.LIMITS,
    KILLED_WORKER: 180,
}


def main() -> None:
    """Run the benchmark, each of the fast failovers several times (default 5)."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    outages = backend_outages.OUTAGES
    # A process for each scenario: it starts its processes from its main thread, and no measurement waits for another.
    with ProcessPoolExecutor(len(outages) + 2, mp_context=get_context("spawn")) as processes:
        reports = [processes.submit(run_scenario, leader_failover.leader_failover, runs).result()]
        parallel = [
            processes.submit(run_scenario, backend_outages.backend_outage, outage, 10 * number)
            for number, outage in enumerate(outages, 1)
        ]
        parallel += [processes.submit(run_scenario, killed_worker, number) for number in (1, 2)]
        reports += [report.result() for report in parallel]
    print(f"\nload average after: {os.getloadavg()[0]:.1f}")
    print_table([delay for report in reports for delay in report.delays])
    defects = [f"{report.name}: {defect}" for report in reports for defect in dict.fromkeys(report.defects)]
    print(f"\n{sum(report.watched_processes for report in reports)} processes watched;", end=" ")
    print("\n    ".join(["DEFECTS:", *defects]) if defects else "none exited by itself; no missing or duplicate result")
    sys.exit(bool(defects))


def print_table(delays: Sequence[Delay]) -> None:
    print(f"\n{'seconds to':56} {'limit':>5} {'median':>8} {'worst':>8} {'runs':>5}")
    for label, limit in LIMITS.items():
        seconds = [delay.seconds for delay in delays if delay.label == label]
        median, worst = (f"{function(seconds):.2f}" if seconds else "-" for function in (statistics.median, max))
        mark = "  above its limit" if limit and seconds and max(seconds) > limit else ""
        print(f"{label:56} {limit or '-':>5} {median:>8} {worst:>8} {len(seconds):5}{mark}")


def run_scenario(scenario: Callable[..., None], *arguments: object) -> ScenarioReport:
    """Return the report of a scenario, which is called with a stack, the report, and the arguments."""
    report = ScenarioReport(" ".join(map(str, [scenario.__name__.replace("_", " "), *arguments])))
    with running() as stack:
        try:
            scenario(stack, report, *arguments)
        except NotObserved as error:
            report.defects.append(str(error))
        report.defects += stack.unexpected_exits()
        report.watched_processes += stack.process_count
        if report.defects:
            print(f"\n{report.name}: {report.defects}\n{stack.last_output()}\n", flush=True)
    return report


def killed_worker(stack: Stack, report: ScenarioReport, number: int) -> None:
    model_ids = insert_large_batch(stack.db, 100, BATCH_LABELS)
    workers = [stack.start(f"worker {name}", WORKER) for name in (1, 2)]
    due_at = current_minute()
    Queue(stack.client).send(Batch(model_ids, due_at).message(due_at))
    victim = expect("a worker", lambda: next((worker for worker in workers if "] received" in worker.output), None))
    expect("first results", lambda: count_models_with_results(stack.client))
    stack.unwatch(victim)

    def kill() -> None:
        pool = child_pids(victim)
        victim.kill()  # first, otherwise it would log the exits of its pool
        for child in pool:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)

    seconds = measure(kill, "results of the batch", lambda: stack.has_results(model_ids, due_at), 300)
    report.add(KILLED_WORKER, seconds)
    expect("an empty queue", lambda: not stack.remaining_messages(), 20)
    report.defects += stack.wrong_results(model_ids, [due_at])
    print(f"killed worker {number}: {len(model_ids)} results after {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main()
