"""Runs a module with a wrong system clock: python -m tests.support.shifted_clock HOURS MODULE [ARGUMENTS]."""

import runpy
import sys
import time

if __name__ == "__main__":
    _, hours, module, *arguments = sys.argv
    real_time = time.time
    time.time = lambda: real_time() + float(hours) * 3600
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
