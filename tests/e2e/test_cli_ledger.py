"""The record of jobs on the command line: where it is, pruned, exported, repaired, and what works without it."""

import json
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qprovider_core import JobInfo, JobState
from qprovider_core.ledger import Ledger

pytestmark = pytest.mark.slow

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Listed = Callable[..., list[dict[str, Any]]]


def test_the_record_can_lie_elsewhere(run: Run, record: Path, bell: str, tmp_path: Path, listed: Listed) -> None:
    place = tmp_path / "other.sqlite3"
    done = run("--ledger", str(place), "run", bell, "--backend", "aer_simulator", "--name", "elsewhere")
    assert done.returncode == 0, done.stderr
    there = run("--ledger", str(place), "jobs", "--json", "--offline")
    assert [job["name"] for job in json.loads(there.stdout)["jobs"]] == ["elsewhere"]
    assert len(listed("--offline")) == 3


def test_about_tells_where_jobs_are_written_down(run: Run, record: Path) -> None:
    assert f"{record} (journal: wal)" in run("about").stdout
    assert "not written down" in run("--no-ledger", "about").stdout


def test_a_broken_record_stops_nobody_who_goes_on_without(run: Run, record: Path, bell: str) -> None:
    record.write_bytes(b"not a database at all")
    stopped = run("run", bell, "--backend", "aer_simulator")
    assert (stopped.returncode, stopped.stdout) == (1, "")
    assert "--no-ledger" in stopped.stderr
    for arguments in (["run", bell, "--no-ledger"], ["--no-ledger", "run", bell]):
        done = run(*arguments, "--backend", "aer_simulator")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout


def test_a_damaged_record_is_repaired(run: Run, record: Path) -> None:
    record.write_bytes(b"?" * 4096 + record.read_bytes()[4096:])
    told = run("jobs", "--offline")
    assert (told.returncode, told.stdout) == (1, "")
    assert "qprovider jobs repair" in told.stderr
    done = run("jobs", "repair")
    assert done.returncode == 0, done.stderr
    assert str(record) in done.stderr
    assert run("jobs", "--offline").returncode == 0
    assert list(record.parent.glob("jobs.sqlite3.replaced-*"))


def test_a_sound_record_and_one_of_a_newer_version_are_not_repaired(run: Run, record: Path) -> None:
    done = run("jobs", "repair")
    assert (done.returncode, "is sound" in done.stderr) == (0, True), done.stderr
    with sqlite3.connect(record) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    refused = run("jobs", "repair")
    assert (refused.returncode, "newer version" in refused.stderr) == (1, True), refused.stderr
    assert not list(record.parent.glob("jobs.sqlite3.replaced-*"))


def test_jobs_are_forgotten_one_by_one_whatever_their_state(run: Run, record: Path, listed: Listed) -> None:
    ledger = Ledger(record)
    ledger.adopt("ibm", "default", JobInfo(id="nobody-knows", state=JobState.SUBMIT_UNKNOWN, backend="some"))
    ledger.close()
    before = len(listed("--offline"))
    refused = run("jobs", "forget", "nobody-knows")
    assert (refused.returncode, "--yes" in refused.stderr) == (2, True)
    done = run("jobs", "forget", "nobody-knows", "--yes")
    assert (done.returncode, "Forgot nobody-knows." in done.stderr) == (0, True), done.stderr
    assert len(listed("--offline")) == before - 1
    assert run("jobs", "forget", "nobody-knows", "--yes").returncode == 2


def test_pruning_asks_and_forgets_what_has_ended(
    in_terminal: Callable[..., Any], run: Run, record: Path, tmp_path: Path, listed: Listed
) -> None:
    ledger = Ledger(record)
    ledger.adopt("ibm", "default", JobInfo(id="still-going", state=JobState.QUEUED, backend="some"))
    ledger.close()
    refused = run("jobs", "prune", "--older-than", "1s")
    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    with in_terminal("jobs", "prune", "--older-than", "1s") as terminal:
        terminal.read_until("Forget 3 jobs created before")
        terminal.write("n\n")
        assert terminal.wait() == 130
    assert len(listed("--offline")) == 4
    assert run("jobs", "prune", "--older-than", "1s", "--data-only", "--yes").stderr == "Forgot the data of 3 jobs.\n"
    assert len(listed("--offline")) == 4
    with in_terminal("jobs", "prune", "--older-than", "1s") as terminal:
        terminal.read_until("Forget 3 jobs created before")
        terminal.write("y\n")
        assert terminal.wait() == 0
    assert [job["id"] for job in listed("--offline")] == ["still-going"]
    assert run("jobs", "prune", "--older-than", "1s", "--yes").returncode == 0
    assert [job["id"] for job in listed("--offline")] == ["still-going"]


def test_the_record_is_exported_in_every_form(run: Run, record: Path, tmp_path: Path) -> None:
    for name in ("all.csv", "all.json", "all.jsonl", "all.sqlite3", "all.db"):
        assert run("jobs", "export", name).stderr == f"Wrote 3 jobs into {name}.\n"
        before = (tmp_path / name).read_bytes()
        refused = run("jobs", "export", name)
        assert refused.returncode == 2
        assert "--force" in refused.stderr
        assert (tmp_path / name).read_bytes() == before
        assert run("jobs", "export", name, "--force").returncode == 0
    assert len((tmp_path / "all.csv").read_text().splitlines()) == 4
    assert [job["name"] for job in json.loads((tmp_path / "all.json").read_text())] == ["third", "second", "first"]
    with sqlite3.connect(tmp_path / "all.db") as copy:
        assert copy.execute("SELECT count(*) FROM jobs").fetchone() == (3,)
    copy.close()
    lines = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert lines[0]["events"][0]["what"] == "written"
    assert "results" not in lines[0]
    assert run("jobs", "export", "all.jsonl", "--force", "--results").returncode == 0
    counts = [json.loads(line)["results"][0]["counts"] for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert [sum(found.values()) for found in counts] == [102, 101, 100]
    assert not list(tmp_path.glob(".qprovider-*"))


def test_the_record_is_never_exported_over_itself(run: Run, record: Path, listed: Listed) -> None:
    done = run("jobs", "export", "--force", str(record))
    assert done.returncode == 1
    assert "is the ledger itself" in done.stderr
    assert len(listed("--offline")) == 3


def test_commands_about_the_record_need_one(run: Run) -> None:
    for arguments in (["jobs", "repair"], ["jobs", "reconcile"], ["jobs", "export", "all.csv"]):
        done = run("--no-ledger", *arguments)
        assert done.returncode == 1
        assert done.stderr.startswith("Error: The ledger is switched off.")
