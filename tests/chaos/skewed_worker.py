"""A worker on a host whose clock is CLOCK_SKEW seconds off: python -m tests.chaos.skewed_worker, with its options.

Only time.time() is; what Celery and kombu keep in Redis comes from there.
"""

import os
import runpy
import time

if __name__ == "__main__":
    right = time.time
    skew = float(os.environ["CLOCK_SKEW"])
    time.time = lambda: right() + skew  # before anybody imports it by name
    runpy.run_module("worker", run_name="__main__")
