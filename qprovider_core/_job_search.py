"""One job by its id, whoever has it: the ledger first, then all vendors at once."""

from __future__ import annotations

from functools import partial
from typing import Any

from qprovider_core import config
from qprovider_core._concurrency import in_background
from qprovider_core._job_book import _names, _party, told_of
from qprovider_core._plugins import registry
from qprovider_core.criteria import is_pattern, wildcard
from qprovider_core.errors import InvalidInputError, LedgerError, QProviderError, UnknownJobError, failure_text
from qprovider_core.ledger import Ledger, ledger_in_use
from qprovider_core.records import Deadline, JobRecord

_SHORTEST_BEGINNING = 6  # characters of an id that will do where they are the beginning of one alone


def found_job(id: Any, *, provider: Any, account: Any, offline: bool, timeout: float | None) -> JobRecord:
    """See `qprovider_core.find_job`."""
    if not isinstance(id, str) or not id.strip():
        raise InvalidInputError(f"A job's id is a text, not {id!r}.")
    own_account, own_provider, job_id = _parts(id.strip())
    provider = own_provider or provider
    account = own_account or account
    problems: list[str] = []
    try:
        ledger = ledger_in_use()
        kept = [] if ledger is None else _in_ledger(ledger, job_id, provider, account)
    except LedgerError as exc:
        ledger, kept = None, []
        problems.append(failure_text(exc))
    if len(kept) == 1 and ledger is not None:
        return ledger.find(kept[0].key, events=True) or kept[0]
    if len(kept) > 1:
        raise _several(job_id, kept)
    if offline:
        raise _nobody(job_id, ledger, problems)
    told = _at_vendors(job_id, provider, account, timeout, problems)
    if len(told) == 1:
        return told[0]
    if told:
        raise _several(job_id, told)
    raise _nobody(job_id, ledger, problems)


def _parts(id: str) -> tuple[str | None, str | None, str]:
    """Account, provider and id of ``account/provider:id``; a vendor's id may hold colons itself."""
    head, colon, rest = id.partition(":")
    account, slash, provider = head.rpartition("/")
    known = {vendor.spec.name for vendor in registry().providers()} | set(registry().left_out())
    if colon and rest and (provider in known or (provider.isidentifier() and provider.islower())):
        return (account if slash else None), provider, rest
    return None, None, id


def _in_ledger(ledger: Ledger, job_id: str, provider: Any, account: Any) -> list[JobRecord]:
    record = ledger.find(job_id)
    found = ledger.with_id(job_id) if record is None else [record]
    if not found and len(job_id) >= _SHORTEST_BEGINNING:
        whole = [one for one in ledger.ids() if one.startswith(job_id)]
        for one in list(dict.fromkeys(whole))[:20]:
            found += [] if (kept := ledger.find(one)) is None else [kept]
            found += ledger.with_id(one)
        found = list({one.key: one for one in found}.values())
    return [one for one in found if fits(one.provider, provider) and fits(one.account, account)]


def fits(name: str, wanted: Any) -> bool:
    """Whether a name is one of those that are wanted: names, patterns, or None for all."""
    return wanted is None or any(wildcard(one)(name) if is_pattern(one) else one == name for one in _names(wanted))


def _at_vendors(
    job_id: str, provider: Any, account: Any, timeout: float | None, problems: list[str]
) -> list[JobRecord]:
    """The records of that id that vendors tell of."""
    accounts, errors, _ = _party(provider, account, False)
    problems += [str(error) for error in errors]
    deadline = Deadline.after(config.timeout_s(timeout))
    asked = {one: in_background(partial(told_of, one, job_id, deadline), f"{one.label}-job") for one in accounts}
    found = []
    for one, answer in asked.items():
        try:
            info = answer.result(timeout=deadline.timeout)
        except TimeoutError:
            problems.append(f"{one.label}: no answer in time")
        except (Exception, SystemExit) as exc:  # noqa: BLE001  a plugin may raise anything
            problems.append(f"{one.label}: {failure_text(exc)}")
        else:
            if info is not None:
                found.append(
                    JobRecord(
                        key=info.key or "",
                        provider=one.provider,
                        account=one.name,
                        info=info,
                        job_id=job_id,
                        process_bound=one.spec.process_bound,
                    )
                )
    return found


def _several(job_id: str, records: list[JobRecord]) -> QProviderError:
    choices = [f"{one.label}:{one.id}" for one in records]
    return UnknownJobError(
        job_id, choices, what=f"Several jobs are meant by {job_id!r}.", hint=f"Choose one of: {', '.join(choices)}."
    )


def _nobody(job_id: str, ledger: Ledger | None, problems: list[str]) -> QProviderError:
    try:
        known = [] if ledger is None else ledger.ids()
    except LedgerError:
        known = []
    error = UnknownJobError(job_id, known, why="\n".join(problems) or None)
    if error.suggestions:
        return error
    return UnknownJobError(
        job_id,
        known,
        why="\n".join(problems) or None,
        hint="See those that are known with `qprovider jobs`, or qp.jobs().",
    )
