"""HTML for notebooks: whole, escaped, small, and in words where colours say something."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import attrs
import pytest

from qprovider_core import _html
from qprovider_core._account_store import SavedAccount
from qprovider_core._exports import Table
from qprovider_core._html import duration_text, element, never_raising, said, table
from qprovider_core._html_lists import state_mark
from qprovider_core._html_qubits import _SHADES
from qprovider_core._lists import BackendList, JobList, QueryError
from qprovider_core._plugin_loading import PluginInfo
from qprovider_core._shown_lists import AccountList, ErrorList, PluginList
from qprovider_core._usage import AccountUsage, UsageList
from qprovider_core.errors import InvalidInputError, JobFailedError, QProviderError, UnknownBackendError
from qprovider_core.query import Rejections
from qprovider_core.records import BackendInfo, JobInfo, JobRecord, JobState
from qprovider_core.secret import Secret

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</td></table></div>",
    "\x1b[2J\x00\x07",
    "\u202egnp.exe\u2066",
    "\ud800",
    "&amp;&lt;",
    "`${alert(1)}`",
]
_KNOWN = {
    *("div", "p", "span", "b", "code", "details", "summary"),
    *("table", "caption", "thead", "tbody", "tr", "th", "td"),
    *("svg", "title", "g", "line", "circle", "text"),
}


class Page(HTMLParser):
    """Reads HTML strictly: what is opened is closed in order, and nothing is there that fetches or runs anything."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        assert tag in _KNOWN, tag
        given = dict(attrs)
        assert len(given) == len(attrs)
        assert not [name for name in given if name.startswith("on") or name in ("id", "href", "src", "srcset", "class")]
        assert "url(" not in (given.get("style") or "")
        self.seen.append((tag, given))
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        assert (tag, attrs) == ("br", [])

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(decl)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [given for name, given in self.seen if name == tag]


def read(item: Any) -> Page:
    html = item._repr_html_()
    assert isinstance(html, str), item
    html.encode()  # no lone surrogates, which no notebook file could hold
    page = Page(html)
    assert all(given.get("scope") in ("col", "row") for given in page.all("th"))
    return page


def hostile_items(text: str) -> list[Any]:
    """Everything that is shown, with that text wherever a vendor's text may stand."""
    info = BackendInfo(
        name=text,
        full_name=text,
        provider=text,
        status_msg=text,
        operational=False,
        num_qubits=text,  # type: ignore[arg-type]
        median_readout_error=text,  # type: ignore[arg-type]
    )
    job = JobInfo(
        id=text, state=JobState.ERROR, state_text=text, backend=text, tags=(text,), name=text, error=text, shots=1
    )
    error = QueryError(provider=text, account=text, reason=text, hint=text, error=text, elapsed_s=0.1)
    rejected = Rejections()
    rejected.add(text, text, [info])
    beside: dict[str, Any] = {"errors": [error], "notes": [text]}
    return [
        BackendList([info], rejected=rejected, **beside),
        BackendList(rejected=rejected, **beside),
        BackendList([SimpleNamespace(info=info)], **beside),
        JobList([SimpleNamespace(info=job, provider=text)], **beside),
        JobList([JobRecord(key=text, provider=text, account=text, info=job, note=text)]),
        UsageList([AccountUsage(provider=text, account=text, instance=text, plan=text)]),
        AccountList([SavedAccount(provider=text, name=text, fields={text: text}, source=text, problem=text)]),
        PluginList([PluginInfo(name=text, provider=text, title=text, status="left out", reason=text, hint=text)]),
        ErrorList([error]),
        QProviderError(text, why=text, hint=text),
        JobFailedError(text, job_id=text, code=text),
        UnknownBackendError(text, [text]),
        Table({text: "text"}, [[text]]),
    ]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_vendors_texts_are_shown_and_never_interpreted(text: str) -> None:
    for item in hostile_items(text):
        page = read(item)
        if text.isprintable():
            assert text in page.text
        assert not [sign for sign in page.text if not sign.isprintable()]
        for _, given in page.seen:
            assert all(value is None or value.isprintable() for value in given.values())


class Nasty:
    """A value that fails at whatever is done with it."""

    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("no")


GARBAGE = [Nasty(), object(), b"\xff", float("nan"), 10**400, [], {1: 2}, lambda: 1]


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_records_that_are_garbage_do_not_break_the_table(garbage: Any) -> None:
    fields = {field.name: garbage for field in attrs.fields(BackendInfo) if field.init}
    sound = BackendInfo(name="sound", full_name="acme:sound", operational=True, status_msg="up")
    page = read(BackendList([BackendInfo(**fields), garbage, sound], errors=[garbage], notes=[garbage]))
    assert "acme:sound" in page.text
    assert len(page.all("tr")) == 1 + 3 + 2
    for kind in (JobList, UsageList):
        assert len(read(kind([garbage])).all("tr")) == 2
    for records in (AccountList, PluginList, ErrorList):
        assert "cannot be shown" in read(records([garbage])).text
    error = QProviderError("It failed.")
    error.why = error.hint = garbage
    html = error._repr_html_()
    assert html is None or Page(html).text


def test_what_cannot_be_shown_at_all_is_shown_as_plain_text() -> None:
    @never_raising
    def build(item: object) -> str:
        raise RuntimeError("broken")

    assert build(1) is None


def test_long_lists_are_cut_and_counted() -> None:
    infos = [BackendInfo(name=f"b{i}", full_name=f"acme:b{i}") for i in range(1234)]
    page = read(BackendList(infos))
    assert len(page.all("tr")) == 1 + 200
    assert "… and 1,034 more" in page.text
    assert "acme:b199" in page.text
    assert "acme:b200" not in page.text
    rejected = Rejections()
    rejected.add("too small", "acme:", infos)
    page = read(BackendList(rejected=rejected))
    assert "1,234 rejected" in page.text
    assert "… and 1,134 more" in page.text
    assert len(BackendList(infos * 10)._repr_html_() or "") < 200_000


def test_rows_that_are_not_shown_are_not_read() -> None:
    def rows() -> Any:
        yield ("a",)
        raise AssertionError("read too far")

    assert "… and 4 more" in Page(table(("name",), rows(), total=5, most=1)).text


def test_long_texts_are_cut() -> None:
    page = read(BackendList(errors=[QueryError(provider="acme", reason="x" * 100_000)], notes=["y" * 100_000]))
    assert len(page.text) < 2000
    assert len(read(QProviderError("w" * 100_000)).text) < 5000


def test_a_list_of_backends_says_what_the_plain_one_says() -> None:
    info = BackendInfo(
        name="a",
        full_name="acme:a",
        num_qubits=5,
        pending_jobs=3,
        operational=True,
        simulator=False,
        median_two_qubit_error=0.01234,
    )
    rejected = Rejections()
    rejected.add("too small", "acme:", [BackendInfo(name="b")])
    error = QueryError(
        provider="ibm", account="work", reason="no answer", hint="Wait.", elapsed_s=75.0, error="DeadlineError"
    )
    page = read(BackendList([info], errors=[error], notes=["a note"], rejected=rejected, as_of=NOON))
    for text in ("acme:a", "5", "online", "3", "0.0123", "–", "device", "acme:b", "too small", "1 rejected", "a note"):
        assert text in page.text
    for text in ("work/ibm", "no answer", "(DeadlineError)", "Wait.", "1 min 15 s", "2026-03-01 12:00:00 UTC"):
        assert text in page.text
    assert "No backend satisfies the query" in read(BackendList(rejected=rejected)).text
    assert read(ErrorList()).text == "All have answered."


def test_jobs_of_the_ledger_and_handles_are_shown_alike() -> None:
    info = JobInfo(id="j1", state=JobState.DONE, created_at=NOON, tags=("a", "b"), backend="x", shots=100)
    handle = SimpleNamespace(info=info, _account=SimpleNamespace(provider="acme", name="default"))
    record = JobRecord(key="k", provider="acme", account="default", info=info, job_id="j1")
    assert read(JobList([handle], as_of=NOON)).text == read(JobList([record], as_of=NOON)).text
    page = read(JobList([record]))
    for text in ("j1", "✓ done", "acme:x", "2026-03-01 12:00:00 UTC", "100", "a, b"):
        assert text in page.text


@pytest.mark.parametrize("state", list(JobState))
def test_every_state_has_a_sign_and_a_word(state: JobState) -> None:
    text = Page(state_mark(JobInfo(id="j", state=state))).text
    sign, _, word = text.partition(" ")
    assert len(sign) == 1
    assert len(word) > 3
    assert "vendor's own" in Page(state_mark(JobInfo(id="j", state=state, state_text="vendor's own"))).text
    assert Page(state_mark(JobInfo(id="j", state=JobState.DONE, state_text="Completed"))).text == "✓ done"


def test_secrets_are_masked() -> None:
    secret = Secret("hidden-token-0123456789")
    accounts = AccountList(
        [
            SavedAccount(provider="ibm", name="work", is_default=True, fields={"token": secret, "plan": None}),
            SavedAccount(provider="ibm", name="lab", fields={"url": "https://x?key=hidden-token-0123456789"}),
            SavedAccount(provider="ibm", name="kept", in_keyring=("token",)),
        ]
    )
    page = read(accounts)
    assert "hidden-token" not in page.text
    assert "token: ********" in page.text
    assert "token: in the keyring" in page.text
    assert "default" in page.text
    assert "plan" not in page.text
    assert "save_account" in read(AccountList()).text


def test_plugins_that_cannot_be_used_say_why_and_what_to_do() -> None:
    plugins = PluginList(
        [
            PluginInfo(name="good", provider="good", title="Good Inc.", kind="vendor", hooks=("a", "b")),
            PluginInfo(name="bad", status="left out", reason="ImportError: x", hint="Upgrade bad."),
        ]
    )
    page = read(plugins)
    for text in ("● active", "good (Good Inc.)", "✗ left out", "ImportError: x", "Upgrade bad."):
        assert text in page.text
    assert "No plugins" in read(PluginList()).text


def test_lists_of_accounts_and_plugins_are_plain_lists_elsewhere() -> None:
    records = [PluginInfo(name="a")]
    assert PluginList(records) == records
    assert repr(PluginList(records)) == repr(records)


def test_an_error_shows_its_facts() -> None:
    page = read(InvalidInputError("It is wrong.", why="Because\nof that.", hint="Do this."))
    for text in ("InvalidInputError", "It is wrong.", "why", "Because", "of that.", "what to do", "Do this."):
        assert text in page.text
    page = read(JobFailedError("Job failed.", job_id="j-77", code="1517"))
    for text in ("job_id", "j-77", "code", "1517"):
        assert text in page.text
    assert "code" not in read(JobFailedError("Job failed (code 1517).", code="1517")).text.replace("(code", "")


def luminance(colour: str) -> float:
    """Relative luminance of sRGB. Source: WCAG 2.1, definition of relative luminance."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_marks_stand_out_in_light_and_dark_themes() -> None:
    """At least 3 to 1, which WCAG 2.1 (1.4.11) asks of what is no text; numbers on qubits 4.5 to 1 (1.4.3)."""
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    for name in ("GOOD", "BAD", "BUSY", "WARNING", "QUIET"):
        for page in ("#ffffff", "#111111"):
            assert contrast(getattr(_html, name), page) >= 3, (name, page)
    for shade in _SHADES:
        assert contrast(shade, "#000000") >= 4.5


def test_values_as_text() -> None:
    assert [said(value) for value in (None, True, False, 5, 0.0123456, "x", ("a", None))] == [
        *("–", "yes", "no", "5", "0.0123", "x"),
        "a, –",
    ]
    assert said(NOON) == said(NOON.astimezone()) == "2026-03-01 12:00:00 UTC"
    assert said(NOON.replace(tzinfo=None)) == "2026-03-01 12:00:00"
    assert said(datetime.max.replace(tzinfo=UTC)) == "9999-12-31 23:59:59 UTC"
    assert len(said("x" * 1000)) == 120


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.25, "0.25 s"),
        (9.94, "9.9 s"),
        (9.97, "10 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (185, "3 min 5 s"),
        (7800, "2 h 10 min"),
        (100_000, "1 d 3 h"),
        (timedelta(days=4000).total_seconds(), "4000 d"),
    ],
)
def test_lengths_of_time(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_attributes_are_escaped() -> None:
    made = element("span", "x", title='"><script>', style="color:red")
    assert made == '<span style="color:red" title="&quot;&gt;&lt;script&gt;">x</span>'
    assert not re.search(r"\bid=", made)
