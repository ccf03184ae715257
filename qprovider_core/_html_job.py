"""A job's handle as HTML for notebooks: how it was last known to stand, without asking its vendor or the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from qprovider_core._html import (
    BAD,
    BUSY,
    QUIET,
    Markup,
    bar,
    card,
    duration_text,
    element,
    facts,
    joined,
    mark,
    never_raising,
    paragraph,
    said,
    text_block,
)
from qprovider_core._html_lists import state_mark

if TYPE_CHECKING:
    from datetime import datetime

    from qprovider_core._tracked_job import TrackedJob
    from qprovider_core.records.jobs import JobInfo


@never_raising
def job_html(job: TrackedJob) -> str:
    """State, times, error and what else was last told of it; with its result where that has been fetched."""
    info = job.info
    title = joined(["Job ", element("b", info.id), " · ", state_mark(info)])
    parts: list[object] = [facts(_facts(job)), _timeline(info)]
    if info.error or info.error_code:
        code = f" (code {said(info.error_code)})" if info.error_code else ""
        parts.append(
            paragraph(mark("✗", BAD, element("b", f"Why it failed{code}:")), " ", text_block(info.error or "–"))
        )
    if info.error_hint:
        parts.append(paragraph(element("b", "What to do:"), " ", text_block(info.error_hint)))
    if job._result is not None:
        from qprovider_core._html_result import circuits_html  # late: many jobs are shown without one

        parts.append(circuits_html(job._result))
    elif info.state.final:
        call = element("code", "result()") if not info.error else element("code", "error_message()")
        parts.append(_small(call, " tells what came of it."))
    else:
        parts.append(_small("As it was last told; ", element("code", "status()"), " asks again."))
    return card(title, *parts)


def _small(*content: object) -> Markup:
    return element("div", *content, style="opacity:0.75;font-size:0.9em")


def _facts(job: TrackedJob) -> Iterator[tuple[str, Any]]:
    info, request = job.info, job._request
    handle = job._handle
    where = handle.full_name if handle is not None else info.backend and f"{job._account.provider}:{said(info.backend)}"
    yield "backend", where
    yield "account", job._account.label
    yield "name", info.name or (request.name if request is not None else None)
    yield "tags", info.tags
    yield "circuits", len(request.pubs) if request is not None else None
    yield "shots", info.shots if info.shots is not None or request is None else getattr(request.pubs[0], "shots", None)
    yield "session", info.session_id
    if info.queue is not None and not info.state.final:
        yield "place in the queue", info.queue.position
        yield "estimated start", info.queue.estimated_start
    yield "created", info.created_at
    yield "started", info.started_at
    yield "ended", info.ended_at
    if info.usage is not None and info.usage.quantum_s is not None:
        yield "quantum time", duration_text(info.usage.quantum_s)


def _timeline(info: JobInfo) -> object:
    """How long it waited and ran, as a bar and in words, as far as that is known."""
    waited = _between(info.created_at, info.started_at)
    ran = _between(info.started_at, info.ended_at)
    whole = (waited or 0.0) + (ran or 0.0)
    if waited is None and ran is None:
        return ""
    pieces = [(seconds / whole, colour) for seconds, colour in ((waited or 0.0, QUIET), (ran or 0.0, BUSY)) if whole]
    words = []
    if waited is not None:
        words.append(mark("■", QUIET, f"waited {duration_text(waited)}"))
    if ran is not None:
        words.append(mark("■", BUSY, f"ran {duration_text(ran)}"))
    return element("div", bar(pieces), joined(words, "  "), style="margin:0.3em 0")


def _between(start: datetime | None, end: datetime | None) -> float | None:
    """Seconds; None where a time is missing, or the clocks that told them contradict each other."""
    if start is None or end is None or end < start:
        return None
    return (end - start).total_seconds()
