"""A job's result for coroutines."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

from qprovider_core._concurrency import in_background

if TYPE_CHECKING:
    from qprovider_core._job import Job


async def awaited(job: Job, timeout: float | None) -> Any:
    """The job's result. A coroutine that is cancelled stops asking for it; the job goes on."""
    given_up = threading.Event()
    waiting = in_background(lambda: job._result_unless(given_up.is_set, timeout), f"await-{job.job_id()}")
    try:
        return await asyncio.wrap_future(waiting)
    except asyncio.CancelledError:
        given_up.set()
        raise
