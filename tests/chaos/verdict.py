"""Whether the promises were kept."""

from datetime import datetime

from tests.chaos import losses, report
from tests.chaos.evidence import excused, gather
from tests.chaos.ledger import count
from tests.chaos.quiet import left
from tests.chaos.settings import Settings
from tests.chaos.storm import Storm
from tests.databases import one


def judge(settings: Settings, storm: Storm, began: datetime, *, is_quiet: bool, minutes: float) -> report.Outcome:
    """Count everything."""
    timeline = storm.clock.timeline()
    with storm.stack.owner() as db, storm.stack.client() as client:
        evidence = gather(db, client, began, one(db, "SELECT public.schedule_now()"))
    evidence = evidence.losing(excused(evidence, timeline, storm.losses))
    total = count(evidence)
    late = [each for seconds in report.lateness(evidence, timeline).values() for each in seconds]
    adds_up = total.adds_up or any(loss.kind == losses.TRUNCATED for loss in storm.losses)
    failures = [
        *(f"missing at {report.moments_of(total.missing)}" for _ in total.missing[:1]),
        *(f"twice at {report.moments_of(total.twice)}" for _ in total.twice[:1]),
        *(f"nobody may expect: {model} at {moment}" for model, moment in total.strange[: report.SHOWN]),
        *([] if adds_up else [f"{total.moments} moments are not {total.sent} sent and {total.skipped} skipped"]),
        *([] if is_quiet else [f"the system has not finished: {left(storm.stack)}"]),
        *storm.stack.failures,
        *(f"error of the run itself: {error}" for error in storm.errors),
    ]
    figures = {
        "seed": settings.seed,
        "minutes": round(minutes, 1),
        "losses": settings.lose_data,
        "skew (h)": settings.skew,
        "faults begun": len(storm.blows),
        "minutes passed": len(evidence.passed),
        "moments (pair, minute)": total.moments,
        "sent": total.sent,
        "skipped": total.skipped,
        "sent + skipped = moments": total.adds_up,
        "results promised": total.promised,
        "present": total.present,
        "missing": len(total.missing),
        "twice": len(total.twice),
        "lost with data": len(total.lost),
        "of skipped moments": total.late_but_skipped,
        "outcomes": dict(total.outcomes),
        "median lateness (s)": round(report.median(late) or 0, 3),
        "longest lateness (s)": round(max(late, default=0), 3),
        "exited by themselves": len(storm.stack.failures),
    }
    return report.Outcome(figures, failures, report.felt(storm.blows, evidence, total, timeline))
