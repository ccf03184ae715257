"""Tables in text and HTML: vendors' texts are shown, never interpreted."""

import pytest

from qprovider_core._tables import backend_row, cell, html_table, kind_word, printable, status_word, text_table
from qprovider_core.records import BackendInfo


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (True, "yes"),
        (False, "no"),
        (5, "5"),
        (0.0123456, "0.0123"),
        (1e-9, "1e-09"),
        ("a", "a"),
        ("x" * 60, "x" * 47 + "…"),
        ("a\x1b[2J\nb", "a�[2J�b"),
    ],
)
def test_a_cell(value, text):
    assert cell(value) == text


def test_numbers_go_to_the_right_and_texts_to_the_left():
    table = text_table(("name", "n", "x"), [("a", 5, 1e9), ("long", None, -0.5), ("b", 100, 1e-9)])
    assert table.splitlines() == [
        "name    n      x",
        "────  ───  ─────",
        "a       5  1e+09",
        "long    –   -0.5",
        "b     100  1e-09",
    ]
    assert text_table(("a", "b"), []).splitlines() == ["a  b", "─  ─"]


def test_rows_past_the_most_are_counted():
    assert text_table(("n",), [(i,) for i in range(7)], most=5).splitlines()[-1] == "… and 2 more"
    assert "<p>… and 2 more</p>" in html_table(("n",), [(i,) for i in range(202)])


def test_html_is_escaped():
    table = html_table(("<h>",), [("<script>",), ("a & b",)])
    assert "<script>" not in table
    assert "&lt;script&gt;" in table
    assert "&lt;h&gt;" in table
    assert "a &amp; b" in table


def test_control_characters_do_not_reach_the_terminal():
    assert printable("\x1b]0;owned\x07 é\u202e") == "�]0;owned� é�"


@pytest.mark.parametrize(
    ("fields", "status", "kind"),
    [
        ({}, None, None),
        ({"operational": True, "simulator": False}, "online", "device"),
        ({"operational": False, "simulator": True}, "offline", "simulator"),
        ({"status_msg": "paused", "operational": True, "simulator": True, "noisy": True}, "paused", "noisy simulator"),
    ],
)
def test_words_for_status_and_kind(fields, status, kind):
    info = BackendInfo(name="a", **fields)
    assert status_word(info) == status
    assert kind_word(info) == kind
    assert backend_row(info)[0] == "a"
