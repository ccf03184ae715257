"""Defects in finding jobs and in what is kept of them: lists, pages, keys, tags, names, details."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import attrs
from good_vendor import GoodVendor

import qprovider_core as qp
from _defects import defect

# -- lists ------------------------------------------------------------------------------------------------


class _Asking(GoodVendor):
    """A vendor that leaves something out of what it asks the service for."""

    left_out: tuple[str, ...] = ()

    def asked(self, query: Any) -> Any:
        return {name: value for name, value in super().asked(query).items() if name not in self.left_out}


_FILTERS = "test_lists_of_jobs_keep_to_their_filters"
_PAGES = "test_lists_of_jobs_keep_to_their_limit_and_page_through"


@defect(_FILTERS, "a list with {'tags': ('no such tag',)} holds")
class TagsDoNotFilter(_Asking):
    """Tags are not passed on."""

    left_out = ("tag",)


@defect(_FILTERS, "a list with {'name': 'no such name'} holds")
class NamesDoNotFilter(_Asking):
    """The name is not passed on."""

    left_out = ("name",)


@defect(_FILTERS, "a list with {'states': (<JobState.")
class StatesDoNotFilter(_Asking):
    """States are not passed on."""

    left_out = ("status",)


@defect(_FILTERS, "a list with {'backend': 'no_such_backend_0'} holds")
class BackendsDoNotFilter(_Asking):
    """The backend is not passed on."""

    left_out = ("machine",)


@defect(_FILTERS, "a list with {'created_")
class TimesDoNotFilter(_Asking):
    """Moments are not passed on."""

    left_out = ("after", "before")


@defect(_FILTERS, "a list with {'ids'")
class IdsDoNotFilter(_Asking):
    """Ids are not passed on."""

    left_out = ("id",)


@defect(_FILTERS, "lacks a job that fits")
class MomentsAreLeftOut(GoodVendor):
    """A job of the very moment that is asked for is not in the list."""

    def asked(self, query: Any) -> Any:
        after = query.created_after and query.created_after + timedelta(microseconds=1)
        return super().asked(attrs.evolve(query, created_after=after))


@defect("test_jobs_that_wait_are_listed_as_pending", "a job that waits is not in a list with JobQuery(pending=True")
class NothingEverWaits(GoodVendor):
    """What has not ended is asked for with a word that the service does not have."""

    def asked(self, query: Any) -> Any:
        asked = super().asked(query)
        return {**asked, "status": ["PENDING"]} if query.pending else asked


@defect(_PAGES, "limit=1, but a page of")
class LimitIsNotPassedOn(_Asking):
    """Pages are as long as the service likes."""

    left_out = ("limit",)


@defect(_PAGES, "pages of one job gave")
class FirstPageAgainAndAgain(_Asking):
    """Where a page begins is not passed on."""

    left_out = ("cursor",)


@defect(_PAGES, "pages of one job gave")
class OnePageIsAll(GoodVendor):
    """What does not fit on a page is never told."""

    @qp.hookimpl
    def qprovider_list_jobs(self, connection: Any, query: Any, deadline: Any) -> Any:
        return attrs.evolve(super().qprovider_list_jobs(connection, query, deadline), cursor=None)


@defect("test_jobs_are_listed_newest_first", "in this order, listed")
class OldestFirst(GoodVendor):
    """A page is in the order of submission."""

    @qp.hookimpl
    def qprovider_list_jobs(self, connection: Any, query: Any, deadline: Any) -> Any:
        page = super().qprovider_list_jobs(connection, query, deadline)
        return attrs.evolve(page, jobs=page.jobs[::-1])


# -- keys -------------------------------------------------------------------------------------------------


@defect("test_a_submission_is_found_by_its_key", "a key that was never sent is FOUND")
class FindsAnything(GoodVendor):
    """For a key that is not known, the newest job is told."""

    @qp.hookimpl
    def qprovider_find_submission(self, connection: Any, key: str, deadline: Any) -> Any:
        found = super().qprovider_find_submission(connection, key, deadline)
        if found.job is not None:
            return found
        [newest] = self.qprovider_list_jobs(connection, qp.JobQuery(limit=1), deadline).jobs
        return qp.Submission(outcome=qp.SubmissionOutcome.FOUND, job=newest)


@defect("test_a_submission_is_found_by_its_key", "a job that arrived is ABSENT by its key")
class KeyIsNotSent(GoodVendor):
    """The tag that carries the key is taken for the core's own business, and left out."""

    def order(self, request: Any) -> Any:
        own = tuple(tag for tag in request.tags if not tag.startswith("qprovider:"))
        return super().order(attrs.evolve(request, tags=own))


@defect("test_a_submission_is_found_by_its_key", "FOUND comes with the job")
class FoundWithoutTheJob(GoodVendor):
    """That it arrived is told, but not as which job."""

    @qp.hookimpl
    def qprovider_find_submission(self, connection: Any, key: str, deadline: Any) -> Any:
        return attrs.evolve(super().qprovider_find_submission(connection, key, deadline), job=None)


# -- tags and names ---------------------------------------------------------------------------------------


class _Tagging(GoodVendor):
    """A vendor that does something to the user's tags."""

    def kept(self, tag: str) -> str | None:
        raise NotImplementedError

    def order(self, request: Any) -> Any:
        tags = [tag if tag.startswith("qprovider:") else self.kept(tag) for tag in request.tags]
        return super().order(attrs.evolve(request, tags=tuple(tag for tag in tags if tag is not None)))


@defect("test_a_job_keeps_its_tags", "sent with two tags, is told with ()")
class TagsLost(_Tagging):
    """Tags are not sent."""

    def kept(self, tag: str) -> str | None:
        return None


@defect("test_a_job_keeps_its_tags", "sent with two tags, has")
class TagsCutShort(_Tagging):
    """Tags have twelve characters at most, which is not announced."""

    def kept(self, tag: str) -> str | None:
        return tag[:12]


@defect("test_a_job_keeps_its_tags", "sent with two tags, has")
class TagsInPlainLetters(_Tagging):
    """Other letters than English ones become question marks."""

    def kept(self, tag: str) -> str | None:
        return tag.encode("ascii", "replace").decode()


@defect("test_tags_can_be_replaced", "the tags were replaced, and are")
class TagsAreOnlyAdded(GoodVendor):
    """New tags come beside the old ones."""

    @qp.hookimpl
    def qprovider_update_job_tags(self, connection: Any, job: Any, tags: Any, deadline: Any) -> Any:
        old = self.job(connection, job, deadline)["tags"]
        return super().qprovider_update_job_tags(connection, job, (*old, *tags), deadline)


@defect("test_a_job_keeps_its_name", "the job was named")
class NameInSmallLetters(GoodVendor):
    """A name becomes an identifier."""

    def order(self, request: Any) -> Any:
        name = request.name and request.name.replace(" ", "_")
        return super().order(attrs.evolve(request, name=name))


# -- details, deleting --------------------------------------------------------------------------


@defect("test_details_belong_to_the_job", "one circuit was sent, 2 come back")
class CircuitsTwice(GoodVendor):
    """A circuit and its compiled form come back as two."""

    @qp.hookimpl
    def qprovider_job_details(self, connection: Any, job: Any, deadline: Any) -> Any:
        details = super().qprovider_job_details(connection, job, deadline)
        return attrs.evolve(details, circuits=details.circuits * 2)


@defect("test_details_belong_to_the_job", "the time of a step has no offset")
class NaiveSteps(GoodVendor):
    """Times of steps without their offset."""

    @qp.hookimpl
    def qprovider_job_details(self, connection: Any, job: Any, deadline: Any) -> Any:
        details = super().qprovider_job_details(connection, job, deadline)
        return attrs.evolve(details, steps={step: when.replace(tzinfo=None) for step, when in details.steps.items()})


@defect("test_a_deleted_job_is_gone", "DID NOT RAISE")
class DeletedJobsStay(GoodVendor):
    """Nothing is deleted."""

    @qp.hookimpl
    def qprovider_delete_job(self, connection: Any, job: Any, deadline: Any) -> Any:
        self.job(connection, job, deadline)
        return True
