"""Defects in what is said of a job: its states, cancelling, finding it again, its times."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import attrs
from good_vendor import WORDS, GoodVendor

import qprovider_core as qp
from _defects import defect

_LONG_RUN: Mapping[str, Any] = {"run_s": 0.3}  # so that it is seen
_LONG_QUEUE: Mapping[str, Any] = {"queue_s": 0.3}


class _Telling(GoodVendor):
    """A vendor that tells one thing of a job wrongly."""

    def wrong(self, info: Any, row: Mapping[str, Any]) -> dict[str, Any]:
        raise NotImplementedError

    def told(self, row: Mapping[str, Any]) -> Any:
        info = super().told(row)
        return attrs.evolve(info, **self.wrong(info, row))


# -- states -----------------------------------------------------------------------------------------------


@defect("test_an_unknown_status_is_kept_as_text", "and the plugin takes it for DONE")
class UnknownIsDone(_Telling):
    """A status word that the plugin does not know is taken for an end."""

    def wrong(self, info: Any, row: Mapping[str, Any]) -> dict[str, Any]:
        return {"state": WORDS.get(row["status"], qp.JobState.DONE)}


@defect("test_an_unknown_status_is_kept_as_text", "KeyError: 'Teleporting'")
class UnknownIsAFailure(GoodVendor):
    """A status word that the plugin does not know ends the call."""

    def told(self, row: Mapping[str, Any]) -> Any:
        assert WORDS[row["status"]]
        return super().told(row)


@defect("test_an_unknown_status_is_kept_as_text", "and the plugin tells None")
class UnknownWithoutTheWord(_Telling):
    """That a status is not known is told, but not what it is."""

    def wrong(self, info: Any, row: Mapping[str, Any]) -> dict[str, Any]:
        return {"state_text": None}


@defect("test_states_are_known_and_only_go_forwards", "went backwards: RUNNING → QUEUED", run_options=_LONG_QUEUE)
class RunningAtOnce(GoodVendor):
    """A job that was just sent is said to run; then it waits."""

    @qp.hookimpl
    def qprovider_submit_job(self, connection: Any, request: Any, deadline: Any) -> Any:
        info = super().qprovider_submit_job(connection, request, deadline)
        return attrs.evolve(info, state=qp.JobState.RUNNING)


@defect("test_states_are_known_and_only_go_forwards", "does not know: ['EXECUTING'", run_options=_LONG_RUN)
class WordForgotten(GoodVendor):
    """A usual word of the service is not known."""

    words: ClassVar[Mapping[str, qp.JobState]] = {word: state for word, state in WORDS.items() if word != "EXECUTING"}


@defect("test_states_are_known_and_only_go_forwards", "s the job is still QUEUED", max_run_seconds=1.0)
class EndlessQueue(_Telling):
    """A job waits for ever."""

    def wrong(self, info: Any, row: Mapping[str, Any]) -> dict[str, Any]:
        return {"state": qp.JobState.QUEUED}


@defect("test_states_are_known_and_only_go_forwards", "a job that is DONE tells of an error: 'OK'")
class ErrorOfADoneJob(_Telling):
    """The service's last word is always the error."""

    def wrong(self, info: Any, row: Mapping[str, Any]) -> dict[str, Any]:
        return {"error": "OK" if info.state is qp.JobState.DONE else None}


@defect("test_an_ended_job_does_not_change", "a job that has ended was told of as")
class EndsAgainAndAgain(_Telling):
    """The time of its end is that of the last look."""

    def wrong(self, info: Any, row: Mapping[str, Any]) -> dict[str, Any]:
        return {"ended_at": datetime.now(UTC) if info.state.final else None}


@defect("test_looking_at_a_job_keeps_to_its_time", "qprovider_get_job with wait_s=0 ", max_look_seconds=0.5)
class BlocksWhileItLooks(GoodVendor):
    """A look at a job waits for its end, whatever it was allowed."""

    @qp.hookimpl
    def qprovider_get_job(self, connection: Any, job: Any, wait_s: float, deadline: Any) -> Any:
        for_ever = qp.Deadline.after(None)
        info = super().qprovider_get_job(connection, job, 0.0, for_ever)
        while not info.state.final:
            time.sleep(0.01)
            info = super().qprovider_get_job(connection, job, 0.0, for_ever)
        return info


# -- cancelling -------------------------------------------------------------------------------------------


@defect("test_cancelling_an_ended_job_is_too_late", "must answer False, not True")
class CancelAlwaysTrue(GoodVendor):
    """Whoever cancels is told that it worked."""

    @qp.hookimpl
    def qprovider_cancel_job(self, connection: Any, job: Any, deadline: Any) -> Any:
        super().qprovider_cancel_job(connection, job, deadline)
        return True


@defect("test_a_cancelled_job_ends_cancelled", "cancel said True, and the job ended as DONE")
class CancelDoesNothing(GoodVendor):
    """The service is never told."""

    @qp.hookimpl
    def qprovider_cancel_job(self, connection: Any, job: Any, deadline: Any) -> Any:
        self.job(connection, job, deadline)
        return True


@defect("test_a_cancelled_job_ends_cancelled", "was cancelled.", run_options=_LONG_RUN)
class CancelTakesAll(GoodVendor):
    """All jobs of the account are cancelled."""

    @qp.hookimpl
    def qprovider_cancel_job(self, connection: Any, job: Any, deadline: Any) -> Any:
        done = super().qprovider_cancel_job(connection, job, deadline)
        for other in self.qprovider_list_jobs(connection, qp.JobQuery(pending=True), deadline).jobs:
            super().qprovider_cancel_job(connection, other.ref, deadline)
        return done


@defect("test_a_cancelled_job_ends_cancelled", "cancel said True, and the job ended as ERROR", run_options=_LONG_RUN)
class CancelledIsAnError(GoodVendor):
    """A job that was cancelled is told as one that failed."""

    words: ClassVar[Mapping[str, qp.JobState]] = {**WORDS, "STOPPED": qp.JobState.ERROR}


@defect("test_a_cancelled_job_ends_cancelled", "cancel said False (too late), and", run_options=_LONG_RUN)
class CancelSaysTooLate(GoodVendor):
    """It works, and says that it does not."""

    @qp.hookimpl
    def qprovider_cancel_job(self, connection: Any, job: Any, deadline: Any) -> Any:
        super().qprovider_cancel_job(connection, job, deadline)
        return False


@defect("test_cancelling_a_queued_job", "a job that is QUEUED was cancelled with the answer True, and went")
class OnlyRunningJobsAreCancelled(GoodVendor):
    """A job that waits is left waiting."""

    @qp.hookimpl
    def qprovider_cancel_job(self, connection: Any, job: Any, deadline: Any) -> Any:
        if self.job(connection, job, deadline)["status"] == "WAITING":
            return True
        return super().qprovider_cancel_job(connection, job, deadline)


@defect("test_cancelling_a_running_job", "a job that is RUNNING was cancelled with the answer True, and went")
class OnlyWaitingJobsAreCancelled(GoodVendor):
    """A job that runs is left running."""

    @qp.hookimpl
    def qprovider_cancel_job(self, connection: Any, job: Any, deadline: Any) -> Any:
        if self.job(connection, job, deadline)["status"] == "EXECUTING":
            return True
        return super().qprovider_cancel_job(connection, job, deadline)


@defect("test_cancelling_twice_is_fine", "409: the job is stopped already")
class CancelOnce(GoodVendor):
    """To cancel a second time is an error."""

    @qp.hookimpl
    def qprovider_cancel_job(self, connection: Any, job: Any, deadline: Any) -> Any:
        if self.job(connection, job, deadline)["status"] == "STOPPED":
            raise RuntimeError("409: the job is stopped already")
        return super().qprovider_cancel_job(connection, job, deadline)


# -- which job it is --------------------------------------------------------------------------------------


@defect("test_submitting_tells_which_job_it_is", "asked for job")
class IdInAnotherForm(GoodVendor):
    """A look at a job tells its id in capitals."""

    @qp.hookimpl
    def qprovider_get_job(self, connection: Any, job: Any, wait_s: float, deadline: Any) -> Any:
        info = super().qprovider_get_job(connection, job, wait_s, deadline)
        return attrs.evolve(info, id=info.id.upper() + "X")


@defect("test_submitting_tells_which_job_it_is", "the job could not be found again")
class LosesTheInstance(_Telling):
    """In which instance a job is, is not told."""

    def wrong(self, info: Any, row: Mapping[str, Any]) -> dict[str, Any]:
        return {"instance": None}


@defect("test_submitting_tells_which_job_it_is", "told of 1")
class CountsCircuitsAsShots(_Telling):
    """The number of circuits is told as that of shots."""

    def wrong(self, info: Any, row: Mapping[str, Any]) -> dict[str, Any]:
        return {"shots": 1}


class _Remembering(GoodVendor):
    """A vendor whose plugin only knows the jobs that it has noted itself."""

    def noted(self, connection: Any) -> set[str]:
        raise NotImplementedError

    @qp.hookimpl
    def qprovider_submit_job(self, connection: Any, request: Any, deadline: Any) -> Any:
        info = super().qprovider_submit_job(connection, request, deadline)
        self.noted(connection).add(info.id)
        return info

    @qp.hookimpl
    def qprovider_get_job(self, connection: Any, job: Any, wait_s: float, deadline: Any) -> Any:
        if job.id not in self.noted(connection):
            raise qp.UnknownJobError(job.id, hint="It was sent by somebody else.")
        return super().qprovider_get_job(connection, job, wait_s, deadline)


@defect("test_a_job_is_retrieved_through_another_connection", "Unknown job")
class JobsOfTheConnection(_Remembering):
    """Jobs are known to the connection that sent them."""

    def noted(self, connection: Any) -> set[str]:
        known: set[str] = connection.__dict__.setdefault("noted", set())
        return known


@defect("test_a_job_is_retrieved_in_a_new_process", "Unknown job")
class JobsOfTheProcess(_Remembering):
    """Jobs are known to the process that sent them."""

    def __init__(self) -> None:
        self.known: set[str] = set()

    def noted(self, connection: Any) -> set[str]:
        return self.known


@defect("test_an_unknown_job_is_said_to_be_unknown", "must raise UnknownJobError, not")
class KeyErrorForUnknownJobs(GoodVendor):
    """The plugin's own lookup fails."""

    def job(self, *arguments: Any, **more: Any) -> Any:
        try:
            return super().job(*arguments, **more)
        except qp.UnknownJobError as exc:
            raise KeyError("no-such-job") from exc


@defect("test_an_unknown_job_is_said_to_be_unknown", "answers None")
class NoneForUnknownJobs(GoodVendor):
    """A job that there is not is no answer."""

    @qp.hookimpl
    def qprovider_get_job(self, connection: Any, job: Any, wait_s: float, deadline: Any) -> Any:
        try:
            return super().qprovider_get_job(connection, job, wait_s, deadline)
        except qp.UnknownJobError:
            return None


@defect("test_an_unknown_job_is_said_to_be_unknown", "answers JobDetails")
class DetailsOfNothing(GoodVendor):
    """Details of a job that there is not are empty."""

    @qp.hookimpl
    def qprovider_job_details(self, connection: Any, job: Any, deadline: Any) -> Any:
        try:
            return super().qprovider_job_details(connection, job, deadline)
        except qp.UnknownJobError:
            return qp.JobDetails()


# -- times and what was used ------------------------------------------------------------------------------


@defect("test_job_times_are_aware_and_in_order", "is it local time taken for UTC?")
class LocalTimeForUTC(_Telling):
    """The service's clock shows local time, which is taken for UTC."""

    def wrong(self, info: Any, row: Mapping[str, Any]) -> dict[str, Any]:
        return {"created_at": info.created_at + timedelta(hours=5, minutes=30)}


@defect("test_job_times_are_aware_and_in_order", "are not in order")
class StartedBeforeItWasMade(_Telling):
    """Two times are mixed up."""

    def wrong(self, info: Any, row: Mapping[str, Any]) -> dict[str, Any]:
        return {"started_at": info.ended_at, "ended_at": info.started_at}


@defect("test_job_times_are_aware_and_in_order", "must be an aware time")
class NaiveTimes(_Telling):
    """Times without their offset."""

    def wrong(self, info: Any, row: Mapping[str, Any]) -> dict[str, Any]:
        return {"created_at": info.created_at.replace(tzinfo=None)}


@defect("test_usage_is_in_seconds", "is it in milliseconds or nanoseconds?")
class UsageInMilliseconds(_Telling):
    """What a job used, as the service counts it."""

    def wrong(self, info: Any, row: Mapping[str, Any]) -> dict[str, Any]:
        return {"usage": None if row["used_ms"] is None else qp.JobUsage(quantum_s=row["used_ms"] * 1000)}
