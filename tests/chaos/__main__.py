"""Chaos test: random faults for some minutes, then a count of the results. python -m tests.chaos, or make chaos.

Real servers and processes, 1,000 models due every minute, a clock that passes minutes within seconds, and a fault every
few seconds: killed and stopped processes, silent networks, full and slow servers, invalid messages, junk data.
Afterwards the system recovers, and the results are counted: one for each model and published due time, and each due
time either published or counted as skipped. Variables:

- MINUTES (10)
- SEED: repeats the order of faults; random and printed by default
- FAULTS: only faults whose names contain one of these comma-separated words, such as junk; or none
- LOSSES=1: also faults that lose data, with the guarantees that hold for them
- SKEW: clock error of one worker, in hours; -3 or 3 by default, by the seed
"""

import logging
import signal
import sys
from pathlib import Path

from tests.chaos import report
from tests.chaos.experiment import run_experiment
from tests.chaos.faults.catalog import UnknownFault, select_faults
from tests.chaos.settings import Settings

LOG_FOLDER = Path(".local/chaos")


def main() -> None:
    """Run the experiment and print its report; exit with 0 only if all guarantees held."""
    settings = Settings.from_env()
    log_file = LOG_FOLDER / f"{settings.seed}.log"
    set_up_logging(log_file)
    # A shell starts background jobs with SIGINT ignored.
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_number, signal.default_int_handler)
    try:
        faults = select_faults(settings.faults, lose_data=settings.lose_data)
    except UnknownFault as error:
        sys.exit(str(error))
    print(f"SEED={settings.seed} MINUTES={settings.minutes:g} LOSSES={int(settings.lose_data)}", end=" ")
    print(f"FAULTS={settings.faults} SKEW={settings.skew:g}; log: {log_file}", flush=True)
    try:
        result = run_experiment(settings, faults)
    except KeyboardInterrupt:
        sys.exit("interrupted")
    report.print_report(result)
    sys.exit(1 if result.failures else 0)


def set_up_logging(path: Path) -> None:
    """Log the output of the processes and of this program to a file, and the latter to the terminal too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, mode="w")
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)-13s | %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    terminal = logging.StreamHandler(sys.stdout)
    terminal.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logging.getLogger("chaos").addHandler(terminal)


if __name__ == "__main__":
    main()
