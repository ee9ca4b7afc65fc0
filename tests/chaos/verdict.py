"""Whether the promises were kept."""

from datetime import datetime, timedelta

from tests.chaos import losses, report
from tests.chaos.evidence import excused, gather
from tests.chaos.lateness import Calm, judge_junk
from tests.chaos.ledger import count
from tests.chaos.quiet import left
from tests.chaos.settings import Settings
from tests.chaos.storm import Storm
from tests.support.databases import one

CALM_JUDGED = timedelta(seconds=7)  # from the begin of the calm; later due times may reach into the first fault


def judge(
    settings: Settings, storm: Storm, began: datetime, calm_since: datetime, *, is_quiet: bool, minutes: float
) -> report.Outcome:
    """Count everything."""
    timeline = storm.clock.timeline()
    with storm.stack.owner() as db, storm.stack.client() as client:
        evidence = gather(db, client, began, one(db, "SELECT public.schedule_now()"))
    evidence = evidence.losing(excused(evidence, timeline, storm.losses))
    total = count(evidence)
    lateness = report.lateness(evidence, timeline)
    late = [each for seconds in lateness.values() for each in seconds]
    in_calm = [
        max(seconds)
        for moment, seconds in lateness.items()
        if calm_since <= timeline.real(moment) <= calm_since + CALM_JUDGED
    ]
    junk = judge_junk(evidence, timeline, storm.blows, Calm(calm_since, max(in_calm, default=0.0)))
    adds_up = total.adds_up or any(loss.kind == losses.TRUNCATED for loss in storm.losses)
    failures = [
        *(f"missing at {report.moments_of(total.missing)}" for _ in total.missing[:1]),
        *(f"twice at {report.moments_of(total.twice)}" for _ in total.twice[:1]),
        *(f"nobody may expect: {model} at {moment}" for model, moment in total.strange[: report.SHOWN]),
        *([] if adds_up else [f"{total.moments} moments are not {total.sent} sent and {total.skipped} skipped"]),
        *(f"because of junk: {line}" for line in report.grouped(junk.findings)),
        *([] if is_quiet else [f"the system has not finished: {left(storm.stack)}"]),
        *storm.stack.failures,
        *(f"error of the run itself: {error}" for error in storm.errors),
    ]
    figures = {
        "seed": settings.seed,
        "minutes": round(minutes, 1),
        "losses": settings.lose_data,
        "faults": settings.faults or "all",
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
        "newcomers": len(evidence.newcomers),
        "judged with junk alone": junk.judged,
        "late or wrong by junk": len(junk.findings),
        "of skipped moments": total.late_but_skipped,
        "outcomes": dict(total.outcomes),
        "median lateness (s)": round(report.median(late) or 0, 3),
        "longest lateness (s)": round(max(late, default=0), 3),
        "longest in the calm (s)": round(max(in_calm, default=0), 3),
        "exited by themselves": len(storm.stack.failures),
    }
    return report.Outcome(figures, failures, report.felt(storm.blows, evidence, total, timeline))
