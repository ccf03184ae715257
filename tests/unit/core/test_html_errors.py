"""Errors as IPython shows them; plain Python shows what it always shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest

from qprovider_core._html_error import render_traceback
from qprovider_core.errors import InvalidInputError, QProviderError
from qprovider_core.secret import Secret

SHELL = """
import sys
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

settings = Config()
settings.HistoryManager.enabled = False
shell = InteractiveShell.instance(config=settings, colors=sys.argv[1])
for cell in sys.argv[2:]:
    shell.run_cell(cell)
"""
FAILING = """import qprovider_core as qp

def mine():
    return qp.list_backends(min_num_qubits=5, max_num_qubits=3)

mine()
# the end"""


@pytest.fixture
def ipython(tmp_path: Path) -> Any:
    """Runs cells in an IPython of its own and gives what it printed."""

    def run(*cells: str, colours: str = "nocolor") -> str:
        environment = {
            **{name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG") if name in os.environ},
            **{name: str(tmp_path) for name in ("HOME", "IPYTHONDIR", "QPROVIDER_CONFIG_DIR")},
            "QPROVIDER_PLUGINS": "none",
            "PYTHONIOENCODING": "utf-8",
        }
        done = subprocess.run(
            [sys.executable, "-c", SHELL, colours, *cells], env=environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_ipython_shows_the_error_and_the_users_own_lines(ipython: Any) -> None:
    shown = ipython(FAILING).strip().splitlines()
    assert shown[0] == ("InvalidInputError: min_num_qubits=5 is above max_num_qubits=3: nothing can satisfy both.")
    assert "Cell In[1], line 6" in shown
    assert "-->   6 mine()" in shown
    assert "Cell In[1], line 4, in mine" in shown
    assert "-->   4     return qp.list_backends(min_num_qubits=5, max_num_qubits=3)" in shown
    assert re.fullmatch(
        r"\d calls further in: qprovider_core/query\.py, line \d+, in _refuse_contradictions\. "
        "All of them: %xmode Verbose, then %tb",
        shown[-1],
    )
    assert len(shown) < 20


def test_all_of_it_can_be_had_and_nothing_but_the_error_too(ipython: Any) -> None:
    verbose = ipython("%xmode Verbose", FAILING)
    assert verbose.count("query.py") >= 1
    assert "_refuse_contradictions" in verbose
    assert "Traceback (most recent call last)" in verbose
    minimal = ipython("%xmode Minimal", FAILING).strip().splitlines()
    assert len(minimal) == 2  # %xmode says so itself
    assert minimal[1].startswith("InvalidInputError: ")
    again = ipython(FAILING, "%xmode Verbose", "%tb")
    assert "_refuse_contradictions" in again


def test_colours_are_there_where_ipython_has_them(ipython: Any) -> None:
    assert "\x1b[31mInvalidInputError\x1b[0m" in ipython(FAILING, colours="linux")
    assert "\x1b" not in ipython(FAILING)


def raised(error: BaseException, cause: BaseException | None = None) -> Any:
    try:
        raise error from cause
    except BaseException as exc:
        return exc


def test_why_what_to_do_notes_and_the_cause_are_told() -> None:
    error = raised(QProviderError("It failed.", why="Because.", hint="Do this."), OSError("disk full"))
    error.add_note("a note")
    lines = render_traceback(error)
    assert lines[:5] == [
        "QProviderError: It failed.",
        "Why: Because.",
        "What to do: Do this.",
        "a note",
        "It came from OSError: disk full",
    ]
    told = raised(QProviderError("It failed.", why="OSError: disk full"), OSError("disk full"))
    assert not [line for line in render_traceback(told) if line.startswith("It came from")]


def test_nothing_secret_and_nothing_that_steers_a_terminal_is_shown() -> None:
    secret = Secret("hidden-token-abcdef-987")
    error = raised(QProviderError("It failed."), OSError(f"\x1b[2J{secret.reveal()}\u202e"))
    shown = "\n".join(render_traceback(error))
    assert "hidden-token" not in shown
    assert "\x1b" not in shown
    assert "********" in shown


def test_an_error_that_was_never_raised_and_one_in_a_circle() -> None:
    assert render_traceback(QProviderError("It failed.")) == ["QProviderError: It failed."]
    one, other = QProviderError("One."), OSError("other")
    one.__cause__, other.__cause__ = other, one
    assert render_traceback(one)[0] == "QProviderError: One."


class Nasty(QProviderError):
    """A vendor's error that fails at whatever is done with it."""

    def __init__(self) -> None:
        pass

    def __str__(self) -> str:
        raise RuntimeError("no")


def test_an_error_that_cannot_be_read_is_shown_as_python_shows_it() -> None:
    shown = render_traceback(raised(Nasty()))
    assert "Nasty" in "\n".join(shown)


def test_many_frames_of_the_users_own_are_counted() -> None:
    def deep(depth: int) -> None:
        if depth == 0:
            raise QProviderError("Deep.")
        deep(depth - 1)

    with pytest.raises(QProviderError) as caught:
        deep(50)
    lines = render_traceback(caught.value)
    assert any(line.startswith("… and ") and line.endswith(" more places in your code") for line in lines)
    assert len(lines) < 40


def test_pythons_own_traceback_is_as_ever() -> None:
    error = raised(InvalidInputError("It is wrong.", hint="Do this."))
    shown = traceback.format_exception(error)
    assert shown[0] == "Traceback (most recent call last):\n"
    assert shown[-1] == "qprovider_core.errors.InvalidInputError: It is wrong.\nDo this.\n"
