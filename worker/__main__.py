"""The workers' process: python -m worker, with the options of celery worker."""

import os
import sys

# SIGTERM then gives a batch a moment and hands it back to the queue, instead of waiting for its end.
# Celery reads the variable when it is imported.
os.environ.setdefault("REMAP_SIGTERM", "SIGQUIT")

from worker.app import app  # see above

if __name__ == "__main__":
    # The workers need nothing of each other, and begin a second earlier without asking. A heartbeat, which nobody
    # hears, would be one more word for a silent Redis, and keep a worker from ending meanwhile.
    alone = ["--without-mingle", "--without-gossip", "--without-heartbeat"]
    app.worker_main(["--quiet", "worker", *alone, "--loglevel", "INFO", *sys.argv[1:]])
