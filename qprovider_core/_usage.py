"""What all accounts have used, and what is left to them. No Qiskit here."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import attrs

from qprovider_core import config
from qprovider_core._concurrency import in_background
from qprovider_core._exports import Kind, Table
from qprovider_core._lanes import query_error
from qprovider_core._lists import AnswerList, QueryError
from qprovider_core._text import account_label
from qprovider_core.errors import DeadlineError
from qprovider_core.fleet import fleet
from qprovider_core.records import AccountInfo, Deadline, InstanceInfo, Usage
from qprovider_core.records._base import FlatRecord, time_field

if TYPE_CHECKING:
    from qprovider_core._account import Account

_HOOK = "qprovider_account_info"

USAGE_COLUMNS: Mapping[str, Kind] = {
    "provider": "text",
    "account": "text",
    "instance": "text",
    "instance_name": "text",
    "plan": "text",
    "consumed_s": "number",
    "limit_s": "number",
    "remaining_s": "number",
    "period_start": "time",
    "period_end": "time",
}


@attrs.frozen(kw_only=True, repr=False)
class AccountUsage(FlatRecord):
    """What one account used at one place. None: the vendor does not say.

    Attributes:
        instance, instance_name: The place's id and name, where the account has such places.
        consumed_s, limit_s, remaining_s: Quantum time used, allowed and left, in seconds.
        period_start, period_end: The time that they are about.
    """

    provider: str
    account: str
    instance: str | None = None
    instance_name: str | None = None
    plan: str | None = None
    consumed_s: float | None = None
    limit_s: float | None = None
    remaining_s: float | None = None
    period_start: datetime | None = time_field()
    period_end: datetime | None = time_field()

    @property
    def told(self) -> bool:
        """Whether anything is told of it."""
        return any(number is not None for number in (self.consumed_s, self.limit_s, self.remaining_s))


class UsageList(AnswerList[AccountUsage]):
    """What accounts used, a row for each place of each account.

    Attributes:
        errors, notes, as_of: See `AnswerList`.
    """

    _head = ("account", "instance", "plan", "used", "left", "limit", "since")

    def _row(self, item: AccountUsage) -> tuple[object, ...]:
        who = account_label(item.provider, item.account)
        return (
            who,
            item.instance_name or item.instance,
            item.plan,
            duration_text(item.consumed_s),
            duration_text(item.remaining_s),
            duration_text(item.limit_s),
            None if item.period_start is None else f"{item.period_start:%Y-%m-%d}",
        )

    def _table(self) -> Table:
        return Table(USAGE_COLUMNS, [[getattr(item, name) for name in USAGE_COLUMNS] for item in self])

    def _nothing(self) -> str:
        return "No account."


def duration_text(seconds: float | None) -> str | None:
    """A length of time in minutes and seconds, for people; None for None."""
    if seconds is None:
        return None
    if 0 < seconds < 60:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    return f"{whole // 60} min {whole % 60:02d} s" if whole else "0 s"


def usage(
    *,
    provider: str | Iterable[str] | None = None,
    account: str | Iterable[str] | None = None,
    timeout: float | None = None,
) -> UsageList:
    """Quantum time that all accounts have used and have left, a row for each of their places. Does not need Qiskit.

    All accounts are asked at once. Who did not answer is in `.errors`; a vendor that does not say has a row of None.

    Args:
        provider, account: Ask only these; names, patterns, or several.
        timeout: Seconds for all of it. Default: 30, or QPROVIDER_TIMEOUT.
    Raises:
        UnknownProviderError, UnknownAccountError: A name that nothing has, before anybody is asked.
    """
    limit_s = config.timeout_s(timeout)
    deadline = Deadline.after(limit_s)
    as_of = datetime.now(UTC)
    party = fleet().party(provider, account)
    started = time.monotonic()
    calls = [(one, _asked(one, deadline)) for one in party.accounts]
    rows: list[AccountUsage] = []
    errors = list(party.errors)
    silent: list[str] = []
    for one, call in calls:
        try:
            info = None if call is None else call.result(timeout=deadline.timeout)
        except (Exception, SystemExit) as exc:  # noqa: BLE001  a plugin may raise anything; it costs its own row
            late = isinstance(exc, TimeoutError) and call is not None and not call.done()
            problem = (
                DeadlineError(f"no answer within {limit_s:g} s", hint="Allow more with timeout=.") if late else exc
            )
            errors.append(query_error(one.provider, one.name, problem, time.monotonic() - started))
            continue
        found = list(_rows(one, info or AccountInfo()))
        rows += found
        errors += _problems(one, info)
        if found and not any(row.told for row in found):
            silent.append(one.label)
    notes = list(party.notes)
    if silent:
        notes.append(f"not told what was used: {', '.join(silent)}")
    return UsageList(rows, errors=errors, notes=notes, as_of=as_of)


def _asked(account: Account, deadline: Deadline) -> Future[AccountInfo | None] | None:
    """The call that tells; None where the vendor has none."""
    if not account.supports(_HOOK):
        return None
    return in_background(lambda: account.call(_HOOK, deadline=deadline), f"{account.label}-usage")


def _rows(account: Account, info: AccountInfo) -> Iterable[AccountUsage]:
    """A row for each place that told something; else one for the whole account. What could not be had is an error."""
    places = [place for place in info.instances if place.usage is not None]
    for place in places:
        yield _row(account, place.usage, plan=place.plan or info.plan, place=place)
    if not places and not any(place.problem for place in info.instances):
        yield _row(account, info.usage, plan=info.plan)


def _row(account: Account, used: Usage | None, *, plan: str | None, place: InstanceInfo | None = None) -> AccountUsage:
    used = used or Usage()
    return AccountUsage(
        provider=account.provider,
        account=account.name,
        instance=None if place is None else place.id,
        instance_name=None if place is None else place.name,
        plan=plan,
        **{field.name: getattr(used, field.name) for field in attrs.fields(Usage)},
    )


def _problems(account: Account, info: AccountInfo | None) -> Iterable[QueryError]:
    for place in info.instances if info is not None else ():
        if place.problem:
            yield QueryError(
                provider=account.provider, account=account.name, reason=f"instance {place.name}: {place.problem}"
            )
