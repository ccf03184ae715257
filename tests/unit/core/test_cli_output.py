"""How the command line prints: plain text in a pipe, colours on a terminal, vendors' text as text only."""

import io
import json
import math
import sys
from datetime import UTC, datetime

import pytest

from qprovider_core.cli import _output
from qprovider_core.secret import Secret

HOSTILE = "\x1b[31mred\x1b]0;title\x07\r\n\u202egnp.exe [bold]markup[/bold] :smile:"


class Terminal(io.StringIO):
    """A text stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class Narrow(io.StringIO):
    """A stream whose encoding has few characters."""

    encoding = "ascii"


def open_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Both streams as a terminal; called in the test, for pytest sets the streams after the fixtures."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return stream


def test_control_characters_are_taken_out_of_a_text() -> None:
    cleaned = _output.clean(HOSTILE)
    assert cleaned.isprintable()
    assert "red" in cleaned
    assert "[bold]markup[/bold]" in cleaned


def test_what_is_not_reported_is_a_dash() -> None:
    assert _output.clean(None) == "–"


def test_numbers_have_three_digits_and_flags_are_words() -> None:
    assert [_output.clean(v) for v in (0.0081234, 0.02, 123.4, True, False)] == [
        "0.00812",
        "0.0200",
        "123",
        "yes",
        "no",
    ]


def test_a_table_in_a_pipe_is_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    _output.say_table(["name", "qubits"], [["a", 5], ["longer", 127]], right=["qubits"])
    assert capsys.readouterr().out == "name    qubits\na            5\nlonger     127\n"


def test_a_table_on_a_terminal_has_styles(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = open_terminal(monkeypatch)
    _output.say_table(["name", "qubits"], [["a", 5]], right=["qubits"])
    assert "\x1b[1m" in terminal.getvalue()
    assert "qubits" in terminal.getvalue()


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = open_terminal(monkeypatch)
    monkeypatch.setenv("NO_COLOR", "1")
    _output.say_table(["name"], [["a"]])
    _output.tell("careful", colour="red")
    assert "\x1b[3" not in terminal.getvalue()
    assert "careful" in terminal.getvalue()


def test_a_dumb_terminal_gets_plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = open_terminal(monkeypatch)
    monkeypatch.setenv("TERM", "dumb")
    _output.say_table(["name"], [["a"]])
    assert terminal.getvalue() == "name\na\n"


def test_vendors_text_in_a_table_is_not_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = open_terminal(monkeypatch)
    monkeypatch.setenv("NO_COLOR", "1")
    _output.say_table(["name"], [[HOSTILE]])
    shown = terminal.getvalue()
    assert "[bold]markup[/bold]" in shown
    assert ":smile:" in shown
    assert "\x1b]0" not in shown
    assert "\x1b[31m" not in shown


def test_messages_are_coloured_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = open_terminal(monkeypatch)
    _output.tell("bad", colour="red")
    _output.tell("quiet", dim=True)
    assert terminal.getvalue() == "\x1b[31mbad\x1b[0m\n\x1b[2mquiet\x1b[0m\n"
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)
    _output.tell("bad", colour="red")
    assert pipe.getvalue() == "bad\n"


def test_a_message_cannot_steer_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = open_terminal(monkeypatch)
    _output.tell(f"one\n{HOSTILE}")
    assert "\x1b" not in terminal.getvalue()


def test_characters_that_the_stream_lacks_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Narrow()
    monkeypatch.setattr(sys, "stdout", stream)
    _output.say_table(["qubit", "T1 (µs)"], [[0, None]])
    assert stream.getvalue() == "qubit  T1 (?s)\n0      ?\n"


def test_json_has_no_values_that_json_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    _output.say_json(
        {
            "nan": math.nan,
            "list": (1, 2.5, math.inf, None, True),
            "when": datetime(2026, 1, 2, tzinfo=UTC),
            "token": Secret("abcdefgh"),
            3: {"x"},
        }
    )
    out = capsys.readouterr().out
    assert "abcdefgh" not in out
    assert json.loads(out) == {
        "nan": None,
        "list": [1, 2.5, None, None, True],
        "when": "2026-01-02 00:00:00+00:00",
        "token": "********",
        "3": ["x"],
    }


def test_json_escapes_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    _output.say_json({"name": HOSTILE})
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert json.loads(out) == {"name": HOSTILE}


def test_facts_leave_out_what_is_not_reported(capsys: pytest.CaptureFixture[str]) -> None:
    _output.say_facts([("name", "x"), ("queue", None), ("qubits", 5)])
    _output.say_facts([])
    assert capsys.readouterr().out == "name    x\nqubits  5\n"


def test_a_histogram_has_the_most_frequent_outcome_first(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    _output.say_histogram({"00": 10, "11": 80, "01": 10})
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["11", "80", "0.800"],
        ["00", "10", "0.100"],
        ["01", "10", "0.100"],
    ]
    # 40 columns leave 24 for the longest bar; a count of one in eight has an eighth of it.
    assert lines[0].split()[3] == "█" * 24
    assert lines[1].split()[3] == "█" * 3


def test_a_histogram_of_many_outcomes_counts_those_it_does_not_show(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _output.say_histogram({format(i, "06b"): 1 for i in range(64)}, most=4)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert lines[-1] == "... and 60 more outcomes with 60 counts"


def test_a_histogram_of_nothing_is_empty(capsys: pytest.CaptureFixture[str]) -> None:
    _output.say_histogram({})
    _output.say_histogram({"0": 0})
    assert capsys.readouterr().out == "0  0  0.000\n"


def test_bars_are_drawn_with_signs_where_blocks_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Narrow()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setenv("COLUMNS", "40")
    _output.say_histogram({"0": 1})
    assert stream.getvalue() == f"0  1  1.000  {'#' * 26}\n"
