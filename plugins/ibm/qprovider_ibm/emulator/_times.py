"""Times as the service writes and reads them."""

from __future__ import annotations

from datetime import UTC, datetime

from qprovider_ibm.emulator._errors import bad_request


def now() -> datetime:
    return datetime.now(UTC)


def stamp(moment: datetime | None) -> str | None:
    """ISO 8601 in UTC with Z and six decimals."""
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse(text: str, what: str) -> datetime:
    """An ISO time; without an offset it is UTC.

    Raises:
        ServiceError: It is none.
    """
    try:
        # A plus sign that was not percent-encoded arrives as a space.
        moment = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
    except ValueError:
        raise bad_request(f"{what}: {text!r} is not an ISO 8601 time.") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
