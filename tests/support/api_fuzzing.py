"""API fuzzing by schemathesis: configuration, run and report."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import schemathesis
from schemathesis import Case, HookContext
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.specs.openapi.schemas import OpenApiSchema

# 412: a random entity tag matches no schedule; it is compared before the validation trigger checks the body.
INVALID_DATA_STATUSES = ["400", "401", "403", "404", "405", "412", "413", "415", "422", "431"]
VALID_DATA_STATUSES = ["2xx", "3xx", "404", "412"]  # 404: a valid id need not have a schedule or a result
MAX_EXAMPLES = 10  # of each call, in each phase that generates some


@dataclass
class FuzzReport:
    """Counts of a run, and its failures."""

    calls: Counter[str] = field(default_factory=Counter)  # by phase
    checks: Counter[str] = field(default_factory=Counter)  # by name
    statuses: dict[str, Counter[int]] = field(default_factory=dict)  # by operation
    failures: list[str] = field(default_factory=list)

    def add(self, event: events.EngineEvent) -> None:
        """Count an event of the engine."""
        match event:
            case events.ScenarioFinished():
                self._add_scenario(event)
            case events.NonFatalError():
                self.failures.append(f"{event.label}: {event.value}")
            case events.FatalError():
                self.failures.append(str(event.exception))

    def _add_scenario(self, event: events.ScenarioFinished) -> None:
        self.calls[event.phase.value] += len(event.recorder.interactions)
        for case_id, interaction in event.recorder.interactions.items():
            if interaction.response:
                path = event.recorder.cases[case_id].value.operation.path
                operation = f"{interaction.request.method} {path}"
                self.statuses.setdefault(operation, Counter())[interaction.response.status_code] += 1
        for nodes in event.recorder.checks.values():
            for node in nodes:
                self.checks[node.name] += 1
                if node.failure_info:
                    failure = node.failure_info.failure
                    self.failures.append(f"{node.name}: {failure}\n{node.failure_info.code_sample}")

    def __str__(self) -> str:
        lines = [
            f"{self.calls.total()} calls: " + ", ".join(f"{count} {phase}" for phase, count in self.calls.items()),
            f"{self.checks.total()} checks: " + ", ".join(f"{count} {name}" for name, count in self.checks.items()),
        ]
        for operation, statuses in sorted(self.statuses.items()):
            lines.append(
                f"  {operation}: " + ", ".join(f"{count} x {status}" for status, count in sorted(statuses.items()))
            )
        return "\n".join(lines)


def schemathesis_config(url: str, headers: Mapping[str, str], minutes: float) -> SchemathesisConfig:
    """Return the configuration: all phases and checks; new calls for minutes, or (0) a few reproducible ones."""
    config: dict[str, Any] = {
        "base-url": url,
        "continue-on-failure": True,
        "request-timeout": 10,
        "headers": dict(headers),
        "generation": {"max-examples": MAX_EXAMPLES, "deterministic": not minutes},
        "phases": {
            "coverage": {"unexpected-methods": ["get", "put", "post", "delete", "options", "patch", "trace"]},
            "stateful": {"generation": {"max-examples": 6 * MAX_EXAMPLES}},  # of all calls together
        },
        "checks": {
            "positive_data_acceptance": {"expected-statuses": VALID_DATA_STATUSES},
            "negative_data_rejection": {"expected-statuses": INVALID_DATA_STATUSES},
        },
    }
    config |= {"max-time": int(minutes * 60)} if minutes else {"seed": 1}
    return SchemathesisConfig.from_dict(config)


def fuzz_api(schema: OpenApiSchema) -> FuzzReport:
    """Run all phases against the API of the schema."""
    report = FuzzReport()
    for event in from_schema(schema).execute():
        report.add(event)
    return report


@schemathesis.hook
def before_call(_context: HookContext, case: Case[Any], _kwargs: Mapping[str, Any]) -> None:
    """Make valid calls satisfy rules that a JSON schema cannot express."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    body: Any = case.body
    match case.operation.label:
        case "PUT /schedule":  # each model at most once
            case.body = list({schedule["model_id"].lower(): schedule for schedule in body}.values())
        case "PUT /schedule/{model_id}" if "model_id" in body:  # the model of the path
            case.body = {**body, "model_id": case.path_parameters["model_id"]}
        case "GET /schedule" if "after" in case.query:  # a cursor is valid with the filters of its first page only
            case.query = {name: value for name, value in case.query.items() if name in {"after", "limit"}}
