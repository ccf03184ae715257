"""What a query answers: lists that know what is missing from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import attrs

from qprovider_core._exports import Kind, Table, Tabular
from qprovider_core._shown_lists import ErrorList
from qprovider_core._tables import BACKEND_HEAD, backend_row, text_table
from qprovider_core._text import account_label, printable
from qprovider_core.query import BackendQuery, Cost, Rejections
from qprovider_core.records._base import FlatRecord, Record
from qprovider_core.records.backends import BackendInfo

if TYPE_CHECKING:
    from qprovider_core.records.jobs import JobInfo

T = TypeVar("T")
_LONGEST = 600  # characters of a remark that are shown; the whole is in `.reason`


@attrs.frozen(kw_only=True, repr=False)
class QueryError(FlatRecord):
    """Who did not answer, or not in full, and why.

    Attributes:
        provider, account: Who was asked; account is None when it did not come to that.
        reason: Why, one line.
        hint: What to do, where there is something.
        elapsed_s: How long was waited, in seconds.
        error: Name of the error's class, such as ``DeadlineError``.
    """

    provider: str
    account: str | None = None
    reason: str
    hint: str | None = None
    elapsed_s: float | None = None
    error: str | None = None

    def __str__(self) -> str:
        who = account_label(self.provider, self.account)
        text = printable(f"{who}: {self.reason}")
        return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


class AnswerList(list[T], Tabular, Generic[T]):
    """A list with what its query has to say beside it; `to_pandas`, `to_csv` and so on give it as a table.

    Attributes:
        errors: Who did not answer, and why. Look here before you trust that a list is complete.
        notes: Things worth knowing that are no errors, such as a vendor without an account.
        as_of: When the vendors were asked, aware UTC.
    """

    def __init__(
        self,
        items: Iterable[T] = (),
        *,
        errors: Iterable[QueryError] = (),
        notes: Iterable[str] = (),
        as_of: datetime | None = None,
    ) -> None:
        super().__init__(items)
        self.errors = ErrorList(errors)
        self.notes = list(notes)
        self.as_of = as_of or datetime.now(UTC)

    _head: tuple[str, ...] = ()

    def _row(self, item: T) -> tuple[object, ...]:
        raise NotImplementedError

    def _nothing(self) -> str:
        raise NotImplementedError

    def _remarks(self) -> list[str]:
        return [printable(text) for text in (*(f"! {error}" for error in self.errors), *self.notes)]

    def __repr__(self) -> str:
        table = text_table(self._head, map(self._row, self)) if self else self._nothing()
        return "\n".join([table, *self._remarks()])

    # In a notebook: other titles than in plain text where there are any, cells, and what stands below the table.
    _html_head: tuple[str, ...] = ()

    def _html_row(self, item: T) -> Sequence[object]:
        return self._row(item)

    def _html_beside(self) -> Sequence[object]:
        return ()

    def _repr_html_(self) -> str | None:
        from qprovider_core._html_lists import answer_html  # late: only notebooks need it

        return answer_html(self)


@attrs.frozen(kw_only=True, repr=False)
class Step(Record):
    """What one criterion of a query did.

    Attributes:
        criterion: Its text.
        requests: Facet to the number of backends for which it made somebody be asked.
        dropped: Names of the backends that it rejected.
    """

    criterion: str
    requests: Mapping[str, int] = attrs.field(factory=dict)
    dropped: tuple[str, ...] = ()


class BackendList(AnswerList[T]):
    """Backends that satisfy a query: handles (`qp.backends`) or records (`qp.list_backends`).

    Attributes:
        errors, notes, as_of: See `AnswerList`; with remembered answers `as_of` is when the oldest was told.
        rejected: The backends left out, each with its `.name` and `.reason`.
        requests: How often each facet was asked for, by its name: what the query cost.
        remembered: How often each facet was at hand from earlier, and nobody was asked.
        ages_s: How old each account's list is, in seconds, by the account's label; 0.0 where it was asked for this.
    """

    def __init__(
        self,
        items: Iterable[T] = (),
        *,
        errors: Iterable[QueryError] = (),
        notes: Iterable[str] = (),
        as_of: datetime | None = None,
        rejected: Rejections | None = None,
        requests: Mapping[str, int] | None = None,
        remembered: Mapping[str, int] | None = None,
        costs: Mapping[Cost, int] | None = None,
        ages_s: Mapping[str, float] | None = None,
        query: BackendQuery | None = None,
    ) -> None:
        super().__init__(items, errors=errors, notes=notes, as_of=as_of)
        self.rejected = rejected if rejected is not None else Rejections()
        self.requests = {facet: n for facet, n in (requests or {}).items() if n}
        self.remembered = {facet: n for facet, n in (remembered or {}).items() if n}
        self.ages_s = dict(ages_s or {})
        self._costs = {tuple(cost): n for cost, n in (costs or {}).items()}
        self._criteria = tuple(one.text for one in query.criteria) if query is not None else ()

    @property
    def steps(self) -> tuple[Step, ...]:
        """What each criterion of the query did, in the query's order: what was asked for it, and whom it dropped."""
        dropped: dict[str, list[str]] = {text: [] for text in self._criteria}
        for one in self.rejected:
            if one.criterion is not None:
                dropped.setdefault(one.criterion, []).append(one.name)
        for text, _ in self._costs:
            dropped.setdefault(text, [])
        return tuple(
            Step(
                criterion=text,
                requests={facet: n for (asker, facet), n in self._costs.items() if asker == text},
                dropped=tuple(names),
            )
            for text, names in dropped.items()
        )

    _head = BACKEND_HEAD

    def _row(self, item: T) -> tuple[object, ...]:
        return backend_row(_info_of(item))

    def _html_row(self, item: T) -> Sequence[object]:
        from qprovider_core._html_lists import backend_cells  # late: only notebooks need it

        return backend_cells(_info_of(item))

    def _html_beside(self) -> Sequence[object]:
        from qprovider_core._html_lists import rejected_html  # late: only notebooks need it

        return rejected_html(self)

    def _table(self) -> Table:
        return Table(BACKEND_COLUMNS, [_backend_cells(item) for item in self])

    def _nothing(self) -> str:
        if not self.rejected:
            return "No backends."
        return f"No backend satisfies the query; {len(self.rejected)} rejected, see .rejected."

    def names(self) -> list[str]:
        """The full names."""
        return [_info_of(item).full_name for item in self]


def _info_of(item: Any) -> BackendInfo:
    info = item if isinstance(item, BackendInfo) else item.info
    assert isinstance(info, BackendInfo)
    return info


class JobList(AnswerList[T]):
    """Jobs, newest first."""

    _head = ("job", "state", "backend", "created", "tags", "name")

    def _row(self, item: Any) -> tuple[object, ...]:
        info = _job_info_of(item)
        created = info.created_at.isoformat(" ", "seconds") if info.created_at else None
        return (info.id, info.state.value, info.backend, created, ", ".join(info.tags) or None, info.name)

    _html_head = ("job", "state", "backend", "created", "shots", "tags", "name")

    def _html_row(self, item: Any) -> Sequence[object]:
        from qprovider_core._html_lists import job_cells  # late: only notebooks need it

        return job_cells(_job_info_of(item), _own_text(item, "provider") or _provider_of(item))

    def _table(self) -> Table:
        return Table(JOB_COLUMNS, [_job_cells(item) for item in self])

    def _nothing(self) -> str:
        return "No jobs."


# -- as tables --------------------------------------------------------------------------------------------------------

BACKEND_COLUMNS: Mapping[str, Kind] = {
    "full_name": "text",
    "provider": "text",
    "account": "text",
    "name": "text",
    "instance": "text",
    "instance_name": "text",
    "num_qubits": "integer",
    "simulator": "flag",
    "noisy": "flag",
    "operational": "flag",
    "pending_jobs": "integer",
    "status_msg": "text",
    "version": "text",
    "description": "text",
    "processor": "text",
    "features": "texts",
    "max_shots": "integer",
    "max_circuits": "integer",
    "median_two_qubit_error": "number",
    "median_readout_error": "number",
    "clops": "number",
    "wait_s": "number",
    "calibrated_at": "time",
    "process_bound": "flag",
}
JOB_COLUMNS: Mapping[str, Kind] = {
    "id": "text",
    "provider": "text",
    "account": "text",
    "backend": "text",
    "instance": "text",
    "state": "text",
    "state_text": "text",
    "name": "text",
    "tags": "texts",
    "note": "text",
    "key": "text",
    "shots": "integer",
    "created_at": "time",
    "started_at": "time",
    "ended_at": "time",
    "error": "text",
    "error_code": "text",
    "queue_position": "integer",
    "quantum_s": "number",
    "session_id": "text",
}


def _backend_cells(item: Any) -> list[object]:
    info = _info_of(item)
    beside = {
        "provider": info.provider or _provider_of(item),
        "account": info.account or _account_of(item),
    }
    return [beside[name] if name in beside else getattr(info, name) for name in BACKEND_COLUMNS]


def _job_cells(item: Any) -> list[object]:
    info = _job_info_of(item)
    beside = {
        "provider": _own_text(item, "provider") or _provider_of(item),
        "account": _own_text(item, "account") or _account_of(item),
        "note": _own_text(item, "note"),
        "key": _own_text(item, "key") or _own_text(info, "key"),
        "queue_position": info.queue.position if info.queue else None,
        "quantum_s": info.usage.quantum_s if info.usage else None,
    }
    return [beside[name] if name in beside else getattr(info, name) for name in JOB_COLUMNS]


def _job_info_of(item: Any) -> JobInfo:
    from qprovider_core.records.jobs import JobInfo  # late: lists of backends need none

    info = getattr(item, "info", item)  # a handle and a record of the ledger have one
    assert isinstance(info, JobInfo)
    return info


def _own_text(item: Any, name: str) -> str | None:
    """The item's text of that name. A handle may have a method of the same name; an empty text tells nothing."""
    value = getattr(item, name, None)
    return value if isinstance(value, str) and value else None


def _provider_of(handle: Any) -> str | None:
    return _own_text(getattr(handle, "_account", None), "provider")


def _account_of(handle: Any) -> str | None:
    return _own_text(getattr(handle, "_account", None), "name")
