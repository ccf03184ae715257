"""The tag that carries the core's key of a submission: put on what is sent, and taken off what the vendor tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from qprovider_core.records import JobInfo, JobPage, JobRequest, ProviderSpec, Submission

PREFIX = "qprovider:"


def key_tag(key: str) -> str:
    """The tag of a key."""
    return f"{PREFIX}{key}"


def has_room(spec: ProviderSpec) -> bool:
    """Whether the vendor's tags can carry a key."""
    longest = spec.max_tag_length
    return spec.max_tags != 0 and (longest is None or longest >= len(key_tag("0" * 32)))


def tagged(request: JobRequest, spec: ProviderSpec) -> JobRequest:
    """The request as it is sent: with its key among its tags, where the vendor has tags."""
    if not request.key or not has_room(spec):
        return request
    return attrs.evolve(request, tags=(key_tag(request.key), *request.tags))


def without_key(info: JobInfo) -> JobInfo:
    """The same with the key in its own field, and the user's tags alone."""
    keys = [tag for tag in info.tags if isinstance(tag, str) and tag.startswith(PREFIX)]
    if not keys:
        return info
    tags = tuple(tag for tag in info.tags if tag not in keys)
    return attrs.evolve(info, tags=tags, key=info.key or keys[0].removeprefix(PREFIX))


def _page(page: JobPage) -> JobPage:
    return attrs.evolve(page, jobs=tuple(without_key(info) for info in page.jobs))


def _found(submission: Submission) -> Submission:
    return submission if submission.job is None else attrs.evolve(submission, job=without_key(submission.job))


# What is done to the answers of the hooks that tell of jobs.
TELLING: Mapping[str, Callable[[Any], Any]] = {
    "qprovider_submit_job": without_key,
    "qprovider_get_job": without_key,
    "qprovider_list_jobs": _page,
    "qprovider_find_submission": _found,
}
