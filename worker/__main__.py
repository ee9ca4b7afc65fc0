"""The worker process: python -m worker, with the options of celery worker."""

import os
import sys

# On SIGTERM, a batch then has a moment to finish and is requeued, instead of being waited for.
# Celery reads the variable when it is imported.
os.environ.setdefault("REMAP_SIGTERM", "SIGQUIT")

from worker.app import app  # see above

if __name__ == "__main__":
    # Workers need nothing of each other, and start a second earlier without synchronising. A heartbeat, which nothing
    # reads, would be one more message to a Redis that does not respond, and delay the shutdown of a worker.
    independent = ["--without-mingle", "--without-gossip", "--without-heartbeat"]
    app.worker_main(["--quiet", "worker", *independent, "--loglevel", "INFO", *sys.argv[1:]])
