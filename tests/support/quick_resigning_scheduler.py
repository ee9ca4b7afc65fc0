"""Scheduler that resigns after a second of failures: python -m tests.support.quick_resigning_scheduler."""

import runpy

import scheduler.beat

if __name__ == "__main__":
    scheduler.beat.RESIGN_AFTER = 1.0
    runpy.run_module("scheduler", run_name="__main__")
