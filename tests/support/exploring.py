"""schemathesis on our contract: what it is told, what it has found."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import schemathesis
from schemathesis import Case, HookContext
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.specs.openapi.schemas import OpenApiSchema

# 412: a tag that nobody was given fits no schedule. It is compared before the gate judges the rest, wrong or right.
REJECTED = ["400", "401", "403", "404", "405", "412", "413", "415", "422", "431"]
EXAMPLES = 10  # of each call, in each turn of a phase that makes them up
ACCEPTED = ["2xx", "3xx", "404", "412"]  # 404: ids without a schedule or a result are fine ids


@dataclass
class Findings:
    """What a run did, and what is wrong."""

    calls: Counter[str] = field(default_factory=Counter)  # by phase
    checks: Counter[str] = field(default_factory=Counter)  # by name
    statuses: dict[str, Counter[int]] = field(default_factory=dict)  # by call
    wrong: list[str] = field(default_factory=list)

    def add(self, event: events.EngineEvent) -> None:
        """Note what an event of the engine says."""
        match event:
            case events.ScenarioFinished():
                self.calls[event.phase.value] += len(event.recorder.interactions)
                for case_id, interaction in event.recorder.interactions.items():
                    if interaction.response:
                        path = event.recorder.cases[case_id].value.operation.path
                        call = f"{interaction.request.method} {path}"
                        self.statuses.setdefault(call, Counter())[interaction.response.status_code] += 1
                for nodes in event.recorder.checks.values():
                    for node in nodes:
                        self.checks[node.name] += 1
                        if node.failure_info:
                            failure = node.failure_info.failure
                            self.wrong.append(f"{node.name}: {failure}\n{node.failure_info.code_sample}")
            case events.NonFatalError():
                self.wrong.append(f"{event.label}: {event.value}")
            case events.FatalError():
                self.wrong.append(str(event.exception))

    def __str__(self) -> str:
        """Return the figures as lines."""
        lines = [
            f"{self.calls.total()} calls: " + ", ".join(f"{count} {phase}" for phase, count in self.calls.items()),
            f"{self.checks.total()} checks: " + ", ".join(f"{count} {name}" for name, count in self.checks.items()),
        ]
        for label, statuses in sorted(self.statuses.items()):
            lines.append(
                f"  {label}: " + ", ".join(f"{count} x {status}" for status, count in sorted(statuses.items()))
            )
        return "\n".join(lines)


def configuration(url: str, headers: Mapping[str, str], minutes: float) -> SchemathesisConfig:
    """Return the settings: all phases and all checks; for minutes, or (0) briefly, with the same calls each time."""
    told: dict[str, Any] = {
        "base-url": url,
        "continue-on-failure": True,
        "request-timeout": 10,
        "headers": dict(headers),
        "generation": {"max-examples": EXAMPLES, "deterministic": not minutes},
        "phases": {
            "coverage": {"unexpected-methods": ["get", "put", "post", "delete", "options", "patch", "trace"]},
            "stateful": {"generation": {"max-examples": 6 * EXAMPLES}},  # of all calls together
        },
        "checks": {
            "positive_data_acceptance": {"expected-statuses": ACCEPTED},
            "negative_data_rejection": {"expected-statuses": REJECTED},
        },
    }
    told |= {"max-time": int(minutes * 60)} if minutes else {"seed": 1}
    return SchemathesisConfig.from_dict(told)


def explore(schema: OpenApiSchema) -> Findings:
    """Call everything that the contract has, in all the ways that schemathesis can think of."""
    findings = Findings()
    for event in from_schema(schema).execute():
        findings.add(event)
    return findings


@schemathesis.hook
def before_call(_context: HookContext, case: Case[Any], _kwargs: Mapping[str, Any]) -> None:
    """Make what no schema can say true of values that are meant to be right."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    body: Any = case.body
    match case.operation.label:
        case "PUT /schedule":  # a model is named once
            case.body = list({schedule["model_id"].lower(): schedule for schedule in body}.values())
        case "PUT /schedule/{model_id}" if "model_id" in body:  # the model of the body is that of the address
            case.body = {**body, "model_id": case.path_parameters["model_id"]}
        case "GET /schedule" if "after" in case.query:  # a cursor goes on with the filters with which it began
            case.query = {name: value for name, value in case.query.items() if name in {"after", "limit"}}
