"""The page about jobs says what there is: its examples run, and the variables and commands that it names exist."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

import qprovider_core as qp
from qprovider_core import config
from qprovider_core.cli._app import COMMANDS, app

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs" / "jobs.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROSE = re.sub(r"^```.*?^```$", "", GUIDE, flags=re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """What is typed: the lines of sessions, and the commands that the text names."""
    typed = re.findall(r"^\$ (qprovider .*)$", GUIDE, re.MULTILINE)
    return sorted({line.replace("…", "").strip() for line in (*typed, *re.findall(r"`(qprovider [^`]+)`", PROSE))})


def anchors() -> set[str]:
    """What the headings are called in links."""
    headings = re.findall(r"^#+ (.*)$", PROSE, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def spec_of(vendor: str) -> qp.ProviderSpec:
    """What the plugin of a vendor announces."""
    announced = importlib.import_module(f"qprovider_{vendor}").qprovider_provider()
    assert isinstance(announced, qp.ProviderSpec)
    return announced


def run_examples(text: str, folder: Path, said: str = "") -> str:
    """What the examples of a page print, run one after another without an account.

    Args:
        said: What they say beside that.
    """
    told = {name: text for name, text in os.environ.items() if not name.startswith(("QPROVIDER_", "QISKIT_IBM_"))}
    told["QPROVIDER_DATA_DIR"] = str(folder / "data")
    told["QPROVIDER_CONFIG_DIR"] = str(folder / "config")
    told["QPROVIDER_PLUGINS"] = "local"
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(EXAMPLE.findall(text))],
        cwd=folder,
        env=told,
        capture_output=True,
        text=True,
        timeout=170,
    )
    assert (done.returncode, done.stderr) == (0, said)
    assert (folder / "data" / config.LEDGER_FILE).exists()
    return done.stdout


def test_the_examples_run_one_after_another_without_an_account(tmp_path):
    assert len(EXAMPLE.findall(GUIDE)) >= 9
    ordinary = "The jobs of this session on local:aer_simulator are ordinary ones.\n"
    said = f"The provider 'local' has no sessions. {ordinary}"
    assert "accepted" in run_examples(GUIDE, tmp_path, said)
    assert (tmp_path / "jobs.csv").exists()


def test_the_example_in_the_readme_runs_without_an_account(tmp_path):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme.partition("## Jobs that are not lost\n")[2].partition("\n## ")[0]
    assert "fake_belem" in run_examples(section, tmp_path)


@pytest.mark.parametrize("line", commands())
def test_the_commands_and_options_that_the_page_names_exist(line):
    words = shlex.split(line, comments=True)[1:]
    command: click.Command = app
    context = click.Context(app)
    options = {name for one in command.params for name in one.opts}
    while words:
        word = words.pop(0)
        if word.startswith("-"):
            assert word in options, line
        elif isinstance(command, click.Group) and (found := command.get_command(context, word)) is not None:
            command = found
            options = {name for one in command.params for name in one.opts}
        elif command is app:
            assert word == "PLACE", line  # of --ledger


def test_every_command_about_jobs_is_on_the_page():
    told = {word for line in commands() for word in line.split()}
    assert set(COMMANDS) - told <= {"accounts", "backend", "backends", "completion", "emulate", "new-plugin", "plugins"}
    jobs = app.get_command(click.Context(app), "jobs")
    assert isinstance(jobs, click.Group)
    assert set(jobs.commands) <= told


def test_the_variables_that_the_page_names_exist_and_those_of_the_ledger_are_on_it():
    known = {value for name, value in vars(config).items() if name.isupper() and str(value).startswith("QPROVIDER_")}
    named = set(re.findall(r"\bQPROVIDER_[A-Z_]+\b", GUIDE))
    assert named <= known
    assert {config.LEDGER, config.LEDGER_CIRCUITS, config.SETTLE_TIME, config.DATA_DIR} <= named


def test_the_functions_and_errors_that_the_page_names_exist():
    named = set(re.findall(r"\bqp\.(\w+)", GUIDE)) | set(re.findall(r"`([A-Z]\w+Error)`", PROSE))
    assert named <= set(qp.__all__)
    methods = set(re.findall(r"\b(?:job|second|same)\.(\w+)\(", GUIDE))
    assert {"rerun", "record", "update_tags"} <= methods
    assert [name for name in methods if not callable(getattr(qp.Job, name, None))] == []


def test_the_arguments_of_a_listing_are_all_on_the_page():
    rows = "\n".join(re.findall(r"^\| (`.*?) \|", PROSE, re.MULTILINE))
    assert [name for name in inspect.signature(qp.list_jobs).parameters if f"`{name}`" not in rows] == []


def test_the_numbers_of_the_page_are_those_of_the_code():
    from qprovider_core import _polling, _reconcile, _submission, _watches
    from qprovider_core.ledger import _file

    def told(text: str) -> bool:
        return text in " ".join(PROSE.split())

    assert told(f"in MiB ({config.DEFAULT_CIRCUITS_MIB:g})")
    assert told(f"{_polling.PAUSE_SHARE:.0%} of it".replace("%", " %"))
    assert _watches.LONGEST_PAUSE_S == 60
    assert told(f"at the {_watches.PATIENCE}th failure in a row")
    assert told(f"After {_polling.UNKNOWN_LOOKS} looks in a row")
    assert told(f"after {_polling.LOST_S / 3600:g} hours")
    assert told(f"after {_file.LOCKED_S:g} s: ")
    assert told(f"of up to {_submission._LONGEST_LIMIT_S:g} s")
    assert told(f"a submission has {_submission.SUBMIT_TIMEOUT_S / 60:g} minutes")
    assert told(f"growing pauses of up to {max(_submission._LOOKS_S):g} s")
    assert told(f"{spec_of('ibm').settle_time_s:g} s at IBM Quantum")
    assert told(f"{qp.ProviderSpec(name='any', title='Any').settle_time_s:g} s where a plugin says nothing")
    assert told(f"{spec_of('local').settle_time_s:g} for the local simulators")
    assert (spec_of("ibm").max_tags, told("seven of eight are yours")) == (7, True)
    assert (_submission._SENDS, _reconcile._TOO_OLD_S, _reconcile._TIMEOUT_S) == (4, 7 * 86400, 600)


def test_links_within_the_page_lead_somewhere():
    assert set(re.findall(r"\]\(#([\w-]+)\)", PROSE)) <= anchors()
