"""Through which account a job of the ledger is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from qprovider_core import config
from qprovider_core.errors import QProviderError, failure_text
from qprovider_core.fleet import fleet
from qprovider_core.records import Deadline, JobRecord

if TYPE_CHECKING:
    from qprovider_core._account import Account


def account_of(record: JobRecord) -> tuple[Account | None, str | None]:
    """The account of a job, and why there is none.

    Where its own is not there any more, for it was opened with a token as argument or from the environment, it is the
    vendor's only account, or the one that knows the job.
    """
    own, why = own_account(record)
    if own is not None:
        return own, None
    others = other_accounts(record)
    if len(others) == 1 or (others and record.info.state.final):
        return others[0], None
    if record.job_id is None:
        return None, why
    return next((account for account in others if _knows(account, record)), None), why


def own_account(record: JobRecord) -> tuple[Account | None, str | None]:
    """The account that the job was sent through, and why it is not there."""
    try:
        party = fleet().party(record.provider, record.account)
    except QProviderError as exc:
        return None, failure_text(exc)
    if party.accounts:
        return party.accounts[0], None
    return None, "; ".join(map(str, party.errors)) or None


def other_accounts(record: JobRecord) -> list[Account]:
    """The other accounts at the same vendor."""
    try:
        return list(fleet().party(record.provider).accounts)
    except QProviderError:
        return []


def _knows(account: Account, record: JobRecord) -> bool:
    ref = attrs.evolve(record.info.ref, id=record.job_id or record.key)
    try:
        told = account.call("qprovider_get_job", job=ref, deadline=Deadline.after(config.timeout_s()))
    except QProviderError:
        return False
    return told is not None
