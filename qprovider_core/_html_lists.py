"""Lists as HTML for notebooks: backends, jobs, accounts, plugins, and who did not answer. No Qiskit here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from qprovider_core._html import (
    BAD,
    BUSY,
    GOOD,
    QUIET,
    WARNING,
    Markup,
    duration_text,
    element,
    escaped,
    folded,
    joined,
    mark,
    moment_text,
    never_raising,
    paragraph,
    said,
    table,
    unbroken,
)
from qprovider_core._tables import kind_word, status_word
from qprovider_core._text import account_label

if TYPE_CHECKING:
    from qprovider_core._account_store import SavedAccount
    from qprovider_core._lists import AnswerList, BackendList, QueryError
    from qprovider_core._plugin_loading import PluginInfo
    from qprovider_core.records.backends import BackendInfo
    from qprovider_core.records.jobs import JobInfo

_MOST_REJECTED = 100
_NUMBERS = frozenset(
    ("qubits", "pending jobs", "2q error", "readout error", "shots", "after", "used", "left", "limit", "hooks")
)


def rows_of(items: Iterable[Any], row: Callable[[Any], Sequence[object]], width: int) -> Iterator[Sequence[object]]:
    """A row for each item; one that cannot be read keeps its place."""
    for item in items:
        try:
            yield row(item)
        except Exception:  # noqa: BLE001  vendors' records may be garbage
            yield ["(cannot be shown)", *[None] * (width - 1)]


@never_raising
def answer_html(answer: AnswerList[Any]) -> str:
    """What a query answered: its rows, then who did not answer, and what else it has to say."""
    head = answer._html_head or answer._head
    parts: list[object] = []
    if answer:
        asked = joined([f"{len(answer):,}", " in all, as told at ", moment_text(answer.as_of)])
        rows = rows_of(answer, answer._html_row, len(head))
        parts.append(table(head, rows, total=len(answer), caption=asked, right=_NUMBERS))
    else:
        parts.append(paragraph(answer._nothing()))
    parts += answer._html_beside()
    parts.append(errors_html(answer.errors))
    parts += (paragraph(escaped(note, most=600)) for note in answer.notes)
    return element("div", *parts)


# -- who did not answer -----------------------------------------------------------------------------------------------


@never_raising
def problems_html(errors: Sequence[QueryError]) -> str:
    """The same as a list of its own."""
    return errors_html(errors) or paragraph("All have answered.")


def errors_html(errors: Sequence[QueryError]) -> Markup:
    """Who did not answer, why, and what to do; nothing when all did."""
    if not errors:
        return Markup("")
    title = joined(
        [mark("▲", WARNING, element("b", "not in full: ")), f"{len(errors)} did not answer, or not with everything"]
    )
    head = ("who", "why", "what to do", "after")
    return table(head, rows_of(errors, _error_row, 4), total=len(errors), caption=title, right=_NUMBERS)


def _error_row(error: QueryError) -> Sequence[object]:
    who = account_label(error.provider, error.account)
    after = None if error.elapsed_s is None else unbroken(duration_text(error.elapsed_s))
    reason = escaped(error.reason, most=600)
    if error.error:
        reason = joined([reason, element("span", " (", error.error, ")", style="opacity:0.7")])
    return (who, reason, escaped(error.hint, most=600), after)


# -- backends ---------------------------------------------------------------------------------------------------------


def backend_cells(info: BackendInfo) -> Sequence[object]:
    """A backend as the table shows it."""
    name: object = info.full_name
    if info.status_msg and info.operational is False:
        name = element("span", info.full_name, title=info.status_msg)
    return (
        name,
        info.num_qubits,
        status_mark(info),
        info.pending_jobs,
        info.median_two_qubit_error,
        info.median_readout_error,
        unbroken(kind_word(info)),
    )


def status_mark(info: BackendInfo) -> object:
    """Whether it takes jobs, as a sign and the vendor's word; None when neither is told."""
    word = status_word(info)
    if word is None:
        return None
    if info.operational is None:
        return word
    sign, colour = ("●", GOOD) if info.operational else ("○", BAD)
    return mark(sign, colour, word)


def rejected_html(backends: BackendList[Any]) -> list[object]:
    """What the query cost, and a fold with those that it left out, each with its reason."""
    parts: list[object] = []
    rejected = backends.rejected
    if rejected:
        rows = rows_of(islice(rejected, _MOST_REJECTED), lambda one: (one.name, escaped(one.reason, most=300)), 2)
        shown = table(("backend", "why it was left out"), rows, total=len(rejected), most=_MOST_REJECTED)
        parts.append(folded(f"{len(rejected):,} rejected", shown))
    return parts


# -- jobs -------------------------------------------------------------------------------------------------------------

_STATES: Mapping[str, tuple[str, str]] = {
    "initializing": ("○", QUIET),
    "queued": ("◌", WARNING),
    "validating": ("◌", WARNING),
    "running": ("◐", BUSY),
    "done": ("✓", GOOD),
    "cancelled": ("⊘", QUIET),
    "error": ("✗", BAD),
    "submit_unknown": ("?", WARNING),
    "unknown": ("?", WARNING),
}


def state_mark(info: JobInfo) -> Markup:
    """How a job stands, as a sign and in words; behind them the vendor's own word where it is another one."""
    state = info.state.value
    sign, colour = _STATES[state]
    words = {"submit_unknown": "whether it arrived is not known", "unknown": "not known"}.get(state, state)
    own = info.state_text
    if own is None or said(own).casefold() in (state, words, {"done": "completed", "error": "failed"}.get(state)):
        return mark(sign, colour, words)
    return mark(sign, colour, words, " (", escaped(own, most=40), ")")


def job_cells(info: JobInfo, provider: str | None) -> Sequence[object]:
    """A job as the table shows it."""
    where = said(info.backend) if not provider else f"{said(provider)}:{said(info.backend)}"
    state: object = state_mark(info)
    if info.error:
        state = joined([state, element("div", info.error, style="opacity:0.8")])
    place = where if info.backend else provider
    return (info.id, state, place, unbroken(info.created_at), info.shots, info.tags, info.name)


# -- accounts and plugins ---------------------------------------------------------------------------------------------


@never_raising
def accounts_html(accounts: Sequence[SavedAccount]) -> str:
    """Saved accounts; secrets are masked."""
    if not accounts:
        return paragraph("No accounts are saved. To save one: ", element("code", "qp.save_account(PROVIDER, token=…)"))
    head = ("account", "provider", "fields", "saved by")
    rows = rows_of(accounts, _account_row, len(head))
    return element("div", table(head, rows, total=len(accounts), caption=f"Saved accounts: {len(accounts):,}"))


def _account_row(account: SavedAccount) -> Sequence[object]:
    named: list[object] = [account.name]
    if account.is_default:
        named.append(mark(" ★", WARNING, "default"))
    given = [(name, value) for name, value in account.fields.items() if value is not None]
    given += [(name, "in the keyring") for name in account.in_keyring if name not in account.fields]
    fields = joined((element("div", name, ": ", escaped(value, most=80)) for name, value in islice(given, 20)))
    if account.problem:
        fields = joined([fields, element("div", mark("▲", WARNING, "cannot be used: "), escaped(account.problem))])
    return (joined(named), account.provider, fields, account.source or "qprovider")


_PLUGIN_STATUS: Mapping[str, tuple[str, str]] = {
    "active": ("●", GOOD),
    "left out": ("✗", BAD),
    "needs a package": ("▲", WARNING),
    "blocked": ("⊘", QUIET),
}


@never_raising
def plugins_html(plugins: Sequence[PluginInfo]) -> str:
    """Plugins, those that cannot be used with the reason and what to do."""
    if not plugins:
        return paragraph("No plugins are installed.")
    head = ("plugin", "status", "provider", "kind", "from", "hooks")
    rows = rows_of(plugins, _plugin_row, len(head))
    return element("div", table(head, rows, total=len(plugins), caption=f"Plugins: {len(plugins):,}", right=_NUMBERS))


def _plugin_row(plugin: PluginInfo) -> Sequence[object]:
    sign, colour = _PLUGIN_STATUS.get(plugin.status, ("?", WARNING))
    status = mark(sign, colour, plugin.status)
    more = [element("div", escaped(text, most=400)) for text in (plugin.reason, plugin.hint) if text]
    provider = plugin.provider if not plugin.title else f"{said(plugin.provider)} ({said(plugin.title)})"
    origin = " ".join(said(part) for part in (plugin.distribution, plugin.version) if part)
    return (plugin.name, joined([status, *more]), provider, plugin.kind, origin or None, len(plugin.hooks))
