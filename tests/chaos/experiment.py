"""The chaos experiment: start, baseline without faults, fault injection, recovery, evaluation."""

import signal
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic, sleep

from core.results.keys import results_key
from devstack.process import wait_until
from tests.chaos import clock as clock_jumps
from tests.chaos import counted_models, observations, scratch_models, single_run_models
from tests.chaos.clock import Clock
from tests.chaos.completion import wait_until_idle
from tests.chaos.evaluation import Measurements, evaluate
from tests.chaos.fault_injection import FaultInjector
from tests.chaos.faults.registry import Fault
from tests.chaos.report import Report
from tests.chaos.settings import Settings
from tests.chaos.single_run_models import SingleRunModels
from tests.chaos.system import SystemUnderTest, running_system
from tests.support.databases import execute

POLL_INTERVAL = 0.05  # seconds
START_TIMEOUT = 60.0  # seconds
WARM_UP_TIMEOUT = 60.0  # seconds until workers have imported scikit-learn, and the first results are stored
BASELINE_DURATION = 12.0  # seconds without faults, to measure the usual lateness of results on this machine
FINAL_JUMPS = 2
JUMP_DURATION = 5.0  # seconds to calculate the models of a due time
IDLE_TIMEOUT = 300.0  # seconds until everything is calculated
IDLE_TIMEOUT_AFTER_LOSSES = 420.0  # the scheduler scans for lost cron specs every 5 minutes
DDL = (clock_jumps.DDL, single_run_models.DDL, scratch_models.DDL, observations.DDL)


@dataclass(frozen=True)
class Baseline:
    """Start of the observation."""

    first_due_after: datetime  # by the system's clock; later due times are observed
    started_at: datetime  # real time


def run_experiment(settings: Settings, faults: Sequence[Fault]) -> Report:
    started = monotonic()
    with ExitStack() as exits:
        system = exits.enter_context(running_system(settings.rng("system"), settings.skew))
        clock = Clock(system.owner, settings.rng("clock"))
        injector = FaultInjector(system, clock, settings.rng("fault injection"), faults)
        single_runs = SingleRunModels(system.owner, settings.rng("single-run models"))
        exits.callback(injector.stop)
        exits.callback(clock.stop)
        exits.callback(single_runs.stop)
        exits.callback(ignore_signals)  # cleanup is not interrupted
        baseline = start(system, clock)
        if not settings.lose_data:  # a lost run of a model that runs only once is not repeated
            single_runs.start()
        deadline = monotonic() + 60 * settings.minutes
        while monotonic() < deadline:
            system.supervise()
            injector.inject_due_fault()
            sleep(POLL_INTERVAL)
        single_runs.stop()
        clock.stop()
        injector.stop()
        is_idle = recover(system, clock, IDLE_TIMEOUT_AFTER_LOSSES if settings.lose_data else IDLE_TIMEOUT)
        measurements = Measurements(
            baseline.first_due_after, baseline.started_at, is_idle, minutes=(monotonic() - started) / 60
        )
        return evaluate(settings, injector, measurements)


def ignore_signals() -> None:
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_number, signal.SIG_IGN)


def start(system: SystemUnderTest, clock: Clock) -> Baseline:
    """Start services, models and clock, and let them run without faults."""
    system.lockless_scheduler.enabled = False
    wait_for_services(system)
    with system.owner() as db:
        for statements in DDL:
            execute(db, statements)
        clock.jump()
        first_due_after = counted_models.insert(db)
    wait_until(clock.jump, seconds=START_TIMEOUT, meanwhile=system.supervise)
    wait_until(
        lambda: count_models_with_results(system) >= counted_models.COUNT,
        seconds=WARM_UP_TIMEOUT,
        meanwhile=system.supervise,
    )
    started_at = datetime.now(UTC)
    clock.start()
    supervise_for(system, BASELINE_DURATION)
    return Baseline(first_due_after, started_at)


def count_models_with_results(system: SystemUnderTest) -> int:
    with system.redis_client() as client:
        return sum(1 for _ in client.scan_iter(results_key("*"), count=1000))


def recover(system: SystemUnderTest, clock: Clock, timeout: float) -> bool:
    """Wait until the system, now without faults, has calculated everything; False at the timeout."""
    wait_until(
        lambda: system.is_postgres_up() and system.is_redis_up(), seconds=START_TIMEOUT, meanwhile=system.supervise
    )
    wait_for_services(system)
    for _ in range(FINAL_JUMPS):
        wait_until(clock.jump, seconds=START_TIMEOUT, meanwhile=system.supervise)
        supervise_for(system, JUMP_DURATION)
    return wait_until_idle(system, timeout)


def supervise_for(system: SystemUnderTest, seconds: float) -> None:
    wait_until(lambda: False, seconds=seconds, meanwhile=system.supervise)


def wait_for_services(system: SystemUnderTest) -> None:
    enabled = [service for service in system.services if service.enabled]
    wait_until(
        lambda: all(service.process.alive for service in enabled), seconds=START_TIMEOUT, meanwhile=system.supervise
    )
