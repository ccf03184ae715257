"""Jobs on the command line: lists of them, and one by itself, from this machine's record."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qprovider_core import JobInfo, JobState
from qprovider_core.cli.jobs import STATES
from qprovider_core.ledger import Ledger

pytestmark = pytest.mark.slow  # left to `make check`

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Listed = Callable[..., list[dict[str, Any]]]
PROBE = """
import sys
from qprovider_core.cli import main
try:
    main()
finally:
    print([name for name in ("qiskit", "numpy", "rich", "pandas") if name in sys.modules], file=sys.stderr)
"""


def names(listed: Listed, *arguments: str) -> list[str]:
    return [job["name"] for job in listed(*arguments)]


# ------------------------------------------------------------------------------------------------------------ the list


def test_the_list_has_what_other_processes_ran_newest_first(run: Run, record: Path) -> None:
    done = run("jobs", "--provider", "local")
    assert (done.returncode, done.stderr) == (0, "")
    head, *rows = done.stdout.splitlines()
    assert head.split("  ")[0] == "id"
    assert "created (UTC)" in head
    assert [row.split()[-3:] for row in rows] == [
        ["third", "lab,", "run-2"],
        ["second", "lab,", "run-1"],
        ["first", "lab,", "run-0"],
    ]
    assert all("done" in row and "local:aer_simulator" in row for row in rows)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["--tag", "run-1"], ["second"]),
        (["--tag", "lab", "--tag", "run-0"], ["first"]),
        (["--tag", "run-0", "--tag", "run-1"], []),
        (["--name", "third"], ["third"]),
        (["--status", "DONE", "--backend", "aer_*"], ["third", "second", "first"]),
        (["--status", "pending"], []),
        (["--backend", "fake_belem"], []),
        (["--since", "1h"], ["third", "second", "first"]),
        (["--until", "1h"], []),
        (["--since", "2001-01-01", "--until", "2002-01-01T12:00+02:00"], []),
        (["--limit", "1"], ["third"]),
        (["--account", "default", "--all"], ["third", "second", "first"]),
    ],
)
def test_filters_restrict_the_list(record: Path, filters: list[str], expected: list[str], listed: Listed) -> None:
    assert names(listed, "--provider", "local", *filters) == expected


def test_a_list_that_was_cut_says_so(run: Run, record: Path) -> None:
    done = run("jobs", "--provider", "local", "--limit", "2")
    assert len(done.stdout.splitlines()) == 3
    assert done.stderr == "These are the newest 2. More: --limit N, or --all.\n"


def test_the_states_of_the_filter_are_those_of_jobs() -> None:
    assert set(STATES) == {state.value for state in JobState} | {"pending", "final"}


def test_an_empty_record_says_what_to_do(run: Run) -> None:
    done = run("jobs", "--offline")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "There is no job yet. Run one: qprovider run FILE\n"
    assert run("jobs", "--offline", "--tag", "x").stderr == "No job matches.\n"
    assert json.loads(run("jobs", "--offline", "--json").stdout)["jobs"] == []


def test_comma_separated_values_have_a_head_and_a_line_a_job(run: Run, record: Path) -> None:
    head, *rows = run("jobs", "--csv", "--offline").stdout.splitlines()
    assert head.split(",")[:4] == ["id", "provider", "account", "backend"]
    assert len(rows) == 3


@pytest.mark.parametrize(
    "arguments", [["jobs"], ["jobs", "--json"], ["jobs", "--csv"], ["job", "ID"], ["jobs", "export", "all.jsonl"]]
)
def test_lists_import_neither_qiskit_nor_numpy(
    environment: dict[str, str], tmp_path: Path, record: Path, run: Run, arguments: list[str], listed: Listed
) -> None:
    given = [listed("--offline")[0]["id"] if word == "ID" else word for word in arguments]
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *given], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "arguments",
    [
        ["jobs", "--status", "finished"],
        ["jobs", "--provider", "lokal"],
        ["jobs", "--since", "yesterday"],
        ["jobs", "--since", "99999999999d"],
        ["jobs", "--since", "1d", "--until", "2d"],
        ["jobs", "--limit", "0"],
        ["jobs", "--limit", "3", "--all"],
        ["jobs", "--json", "repair"],
        ["jobs", "reconsile"],
        ["jobs", "d1b0xyz123"],
        ["jobs", "prune"],
        ["jobs", "prune", "--older-than", "0s"],
        ["jobs", "prune", "--older-than", "9999-01-01"],
        ["jobs", "export", "all.txt"],
        ["jobs", "export", "all.csv", "--results"],
        ["job", "nobody-has-this"],
        ["result", "nobody-has-this"],
        ["cancel", "nobody-has-this"],
        ["rerun", "nobody-has-this"],
        ["watch", "nobody-has-this"],
        ["tag", "nobody-has-this", "x"],
        ["tag", "some"],
        ["tag", "some", "--remove"],
        ["tag", "some", "x", "--remove", "--replace"],
        ["--ledger", "x", "--no-ledger", "jobs"],
        ["--ledger", "", "jobs"],
    ],
)
def test_wrong_usage_exits_with_2_and_leaves_everything_alone(run: Run, record: Path, arguments: list[str]) -> None:
    before = record.read_bytes()
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert "Error: " in done.stderr
    assert "Traceback" not in done.stderr
    assert record.read_bytes() == before


def test_what_a_vendor_or_a_user_wrote_cannot_steer_the_terminal(run: Run, record: Path, listed: Listed) -> None:
    id = listed("--offline")[0]["id"]
    assert run("tag", id, "--note", "red \x1b[31m line\nsecond").returncode == 0
    for arguments in (["jobs", "--offline"], ["job", id], ["jobs", "--csv", "--offline"], ["job", id, "--json"]):
        shown = run(*arguments)
        assert "\x1b" not in shown.stdout + shown.stderr
    assert listed("--offline")[0]["note"] == "red \x1b[31m line\nsecond"


# ------------------------------------------------------------------------------------------------------------- one job


def test_a_result_is_shown_in_a_new_process_even_without_the_plugin(
    run: Run, record: Path, environment: dict[str, str], listed: Listed
) -> None:
    id = listed("--name", "second")[0]["id"]
    first = json.loads(run("result", id, "--json").stdout)
    assert sum(first["results"][0]["counts"].values()) == first["shots"] == 101
    environment["QPROVIDER_DISABLE_PLUGINS"] = "local"
    done = run("result", id, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == first
    shown = run("result", id[:8]).stdout
    assert {line.split()[0] for line in shown.splitlines()} == {"00", "11"}


def test_one_job_is_shown_with_its_timeline(run: Run, record: Path, listed: Listed) -> None:
    id = listed("--name", "first")[0]["id"]
    done = run("job", id)
    assert (done.returncode, done.stderr) == (0, "")
    facts = dict(line.split(maxsplit=1) for line in done.stdout.partition("\n\n")[0].splitlines())
    assert (facts["name"], facts["state"], facts["shots"]) == ("first", "done", "100")
    assert "kept here  circuits, result" in done.stdout
    timeline = done.stdout.partition("timeline (UTC)\n")[2].splitlines()
    assert timeline[0].endswith("  written")
    assert timeline[1].endswith(f"  accepted: {id}")
    document = json.loads(run("job", id, "--json").stdout)
    assert document["id"] == id
    assert [event["what"] for event in document["events"]][:2] == ["written", "accepted"]


def test_an_unknown_id_has_near_matches(run: Run, record: Path, listed: Listed) -> None:
    id = listed("--offline")[0]["id"]
    done = run("job", f"{id[:-1]}x", "--offline")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"Did you mean {id!r}?" in done.stderr


def test_an_id_that_two_vendors_have_is_a_choice(run: Run, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "data" / "jobs.sqlite3")
    for provider in ("ibm", "local"):
        ledger.adopt(provider, "default", JobInfo(id="twice-there", state=JobState.DONE, backend="some"))
    ledger.close()
    done = run("job", "twice-there", "--offline")
    assert done.returncode == 2
    assert "ibm:twice-there" in done.stderr
    assert "local:twice-there" in done.stderr
    assert run("job", "ibm:twice-there", "--offline").returncode == 0


def test_tags_are_added_removed_and_replaced(run: Run, record: Path, listed: Listed) -> None:
    id = listed("--name", "first")[0]["id"]
    assert run("tag", id, "new", "lab").stderr == f"Job {id}: tags lab, run-0, new; name first.\n"
    assert run("tag", id, "run-0", "--remove").returncode == 0
    assert listed("--name", "first")[0]["tags"] == ["lab", "new"]
    missing = run("tag", id, "old", "--remove")
    assert missing.returncode == 2
    assert f"Job {id} has no tag 'old'" in missing.stderr
    assert run("tag", id, "only", "--replace", "--name", "renamed", "--note", "worth keeping").returncode == 0
    job = listed("--tag", "only")[0]
    assert (job["tags"], job["name"], job["note"]) == (["only"], "renamed", "worth keeping")
    assert run("tag", id, "--replace", "--name", "", "--note", "").stderr == f"Job {id}: no tags.\n"


def test_a_finished_job_cannot_be_cancelled(run: Run, record: Path, listed: Listed) -> None:
    id = listed()[0]["id"]
    done = run("cancel", id)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: Job {id} cannot be cancelled: it has ended (done).")


def test_a_local_job_runs_again_while_the_command_waits(run: Run, record: Path, listed: Listed) -> None:
    id = listed("--name", "second")[0]["id"]
    refused = run("rerun", id)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "--wait" in refused.stderr
    done = run("rerun", id, "--wait", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["job_id"] != id
    assert sum(document["results"][0]["counts"].values()) == 101
    assert (
        json.loads(run("job", document["job_id"], "--json").stdout)["rerun_of"]
        == json.loads(run("job", id, "--json").stdout)["key"]
    )


def test_ids_are_completed_from_the_record(
    run: Run, record: Path, environment: dict[str, str], tmp_path: Path, listed: Listed
) -> None:
    ids = [job["id"] for job in listed("--offline")]
    words = f"qprovider result {ids[0][:5]}"
    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.argv = ['qprovider']; from qprovider_core.cli import main; main()"],
        env=environment | {"_QPROVIDER_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": "2"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == (f"plain,{ids[0]}\n", "")
