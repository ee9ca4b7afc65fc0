"""URLs and process ids of the stack: a file for shells (. .local/stack.env), and a text for the terminal."""

import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path

from devstack.cluster import embedded_binaries
from devstack.private_files import write_private

WELCOME_TEXT = """Cyclic Metrics is ready. Ctrl-C stops it.

    API          {url}/docs
    health       {url}/status
    everything   {stack_env}  (URLs with passwords, process ids)

  Try it in another terminal:

    curl -X POST -H "Content-Type: application/json" \\
         -d '{{"model_id": "550e8400-e29b-41d4-a716-446655440000", "cron_expression": "*/1 * * * *"}}' \\
         {url}/schedule

    curl {url}/results/550e8400-e29b-41d4-a716-446655440000

    . {stack_env} && {psql} "$DATABASE_URL" -c "
        INSERT INTO metrics_executions (model_id, cron_expression) VALUES (gen_random_uuid(), '* * * * *')"
"""


def write_stack_env(path: Path, urls: Mapping[str, str], pids: Mapping[str, int]) -> None:
    """Write the URLs, and the process ids as NAME_PID."""
    variables = {**urls, **{f"{name.upper()}_PID": str(pid) for name, pid in sorted(pids.items())}}
    write_private(path, "".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items()))


def welcome_text(port: int, stack_env: Path) -> str:
    """Return the addresses of the stack and commands to try, with the path of psql unless it is on PATH."""
    psql = "psql" if shutil.which("psql") else shlex.quote(str(embedded_binaries() / "psql"))
    path = stack_env if "/" in str(stack_env) else f"./{stack_env}"
    return WELCOME_TEXT.format(url=f"http://localhost:{port}", stack_env=shlex.quote(str(path)), psql=psql)
