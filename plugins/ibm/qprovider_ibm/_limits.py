"""What limits the number of jobs, in the words of the retired provider."""

from __future__ import annotations

from typing import Final

import attrs

from qprovider_core.records._base import Record

SUBMISSIONS_A_MINUTE: Final = 5  # of one user, as IBM documents POST /jobs


@attrs.frozen(kw_only=True, repr=False)
class JobLimit(Record):
    """How many jobs may be at the service at a time.

    Attributes:
        maximum_jobs: None: the service tells no such limit any more.
        running_jobs: The account's jobs on the backend that have not ended.
        submissions_a_minute: What limits them today: how often jobs can be submitted. The client waits where the
            service asks it to.
    """

    maximum_jobs: int | None = None
    running_jobs: int
    submissions_a_minute: int = SUBMISSIONS_A_MINUTE
