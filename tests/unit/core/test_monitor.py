"""`job_monitor`: what it shows, on a terminal and elsewhere, and how it is left."""

import io
import math
import os
import pty

import pytest

from qprovider_core import job_monitor
from qprovider_core._job import Job
from qprovider_core._monitor import spoken
from qprovider_core.errors import InvalidInputError
from qprovider_core.records import JobInfo, JobState, ProviderSpec, QueueInfo

pytestmark = pytest.mark.usefixtures("isolated")
QUICK = ProviderSpec(name="acme", title="Acme", min_poll_s=0.001)
QUEUED = JobInfo(id="j1", state=JobState.QUEUED, queue=QueueInfo(position=3))
RUNNING = JobInfo(id="j1", state=JobState.RUNNING)
DONE = JobInfo(id="j1", state=JobState.DONE)


@pytest.fixture
def job(account):
    """A job of which the vendor tells this in turn, the last again and again."""

    def make(*infos):
        left = list(infos)

        def get_job():
            told = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(told, BaseException):
                raise told
            return told

        return Job(account(spec=QUICK, get_job=get_job), infos[0])

    return make


@pytest.fixture
def terminal():
    """A real terminal to write to, and what was written, once it is closed."""
    ours, theirs = pty.openpty()
    stream = open(theirs, "w", encoding="utf-8")  # noqa: SIM115  closed by who reads
    kept = os.dup(theirs)  # what is not read yet would be lost with the last writer

    def shown():
        stream.write("<end>")
        stream.close()
        text = ""
        while "<end>" not in text:
            text += os.read(ours, 1 << 16).decode()
        return text.removesuffix("<end>")

    yield stream, shown
    os.close(kept)
    os.close(ours)


def test_each_change_has_a_line_of_its_own_where_there_is_no_terminal(job):
    output = io.StringIO()
    job_monitor(job(QUEUED, QUEUED, RUNNING, RUNNING, DONE), 0.001, output=output)
    assert output.getvalue().splitlines() == [
        "Job Status: job is queued (3)",
        "Job Status: job is actively running",
        "Job Status: job has successfully run",
    ]


def test_on_a_terminal_one_line_is_written_again_with_the_time_that_has_passed(job, terminal):
    stream, shown = terminal
    job_monitor(job(QUEUED, RUNNING, DONE), 0.001, output=stream)
    text = shown()
    assert text.startswith("\rJob Status: job is queued (3) (0 s)")
    assert "\rJob Status: job is actively running (0 s)" in text
    assert text.rstrip().endswith("\rJob Status: job has successfully run")
    assert text.count("\n") == 1


def test_the_arguments_of_the_retired_provider_may_be_positional(job, capsys):
    output = io.StringIO()
    job_monitor(job(QUEUED, DONE), 0.001, False, output, "\n> ")
    assert output.getvalue() == "\n> Job Status: job is queued (3)\n> Job Status: job has successfully run\n"
    assert capsys.readouterr().out == ""


def test_quiet_shows_nothing(job, capsys):
    job_monitor(job(QUEUED, DONE), 0.001, True)
    assert capsys.readouterr().out == ""


def test_a_timeout_leaves_what_was_shown(job, capsys):
    job_monitor(job(QUEUED), timeout=0.05)
    assert capsys.readouterr().out == "Job Status: job is queued (3)\n"


def test_a_job_that_has_ended_is_told_once(job, capsys):
    job_monitor(job(JobInfo(id="j1", state=JobState.ERROR, error="Trace:\nqubit lost")))
    assert capsys.readouterr().out == "Job Status: job incurred error: qubit lost\n"


def test_an_unknown_status_is_shown_in_the_vendors_own_word(job, capsys):
    job_monitor(job(JobInfo(id="j1", state=JobState.UNKNOWN, state_text="Pondering"), DONE), 0.001)
    assert capsys.readouterr().out.startswith("Job Status: job is in the state 'Pondering'\n")


def test_ctrl_c_leaves_the_job_and_says_how_to_come_back(job):
    class Interrupted(io.StringIO):
        def write(self, text):
            if "running" in text:
                raise KeyboardInterrupt
            return super().write(text)

    handle, output = job(QUEUED, RUNNING), Interrupted()
    with pytest.raises(KeyboardInterrupt):
        job_monitor(handle, 0.001, output=output)
    assert output.getvalue().endswith("Job j1 goes on. Come back to it with `qprovider job j1` or qp.job('j1').\n")


@pytest.mark.parametrize("thing", [None, "j1", 5, object()])
def test_only_a_job_is_followed(thing):
    with pytest.raises(InvalidInputError, match="job_monitor takes a job"):
        job_monitor(thing)


@pytest.mark.parametrize("interval", [-1, math.nan, True, "5"])
def test_an_interval_is_a_number_of_seconds(interval, job):
    with pytest.raises(InvalidInputError, match="interval is a number of seconds"):
        job_monitor(job(QUEUED), interval)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.7, "0 s"), (59.9, "59 s"), (310, "5 min 10 s"), (3600, "1 h 00 min"), (1e5, "27 h 46 min")]
)
def test_times_are_told_for_a_reader(seconds, text):
    assert spoken(seconds) == text
