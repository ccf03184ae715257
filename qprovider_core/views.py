"""What is known of a backend while a query looks at it, and what a criterion says of that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final, Protocol

import attrs

from qprovider_core.attributes import Attribute
from qprovider_core.records.backends import BackendInfo


@attrs.frozen
class Needs:
    """The outcome of a criterion that cannot be told before this facet is fetched."""

    facet: str


Outcome = bool | None | Needs


class _Unfetched:
    def __repr__(self) -> str:
        return "UNFETCHED"


UNFETCHED: Final = _Unfetched()


_NO_FAILURES: Final[Mapping[str, str]] = {}


class View:
    """What is known of one backend while a query looks at it.

    Attributes:
        info: The listing's record.
        status, configuration, properties: A record; None where there is none; `UNFETCHED` before it was asked for.
        failures: Facet to the reason why it could not be had.
    """

    __slots__ = ("configuration", "failures", "info", "properties", "status")

    def __init__(
        self, info: BackendInfo, status: Any = None, configuration: Any = None, properties: Any = None
    ) -> None:
        self.info = info
        self.status = status
        self.configuration = configuration
        self.properties = properties
        self.failures: Mapping[str, str] = _NO_FAILURES

    def value(self, attribute: Attribute) -> Any:
        """The attribute's value, None when not reported, or `Needs`."""
        for facet, read in attribute.places:
            record = getattr(self, facet)
            if record is UNFETCHED:
                return Needs(facet)
            if record is None:
                continue
            try:
                value = read(record)
            except Exception as exc:  # noqa: BLE001  content is structured when it is read: only then is damage seen
                self.failures = {**self.failures, facet: f"its {facet} cannot be read: {exc}"}
                continue
            if value is not None:
                return value
        return None

    def tell(self, attribute: Attribute) -> str:
        """The attribute and its value as a reason names them: ``num_qubits is 5``."""
        value = self.value(attribute)
        if value is None or isinstance(value, Needs):
            for facet, _ in attribute.places:
                if facet in self.failures:
                    return f"{attribute.name} is not known: {self.failures[facet]}"
            return f"{attribute.name} is not reported"
        text = value.isoformat() if isinstance(value, datetime) else repr(value)
        return f"{attribute.name} is {text if len(text) <= 60 else text[:57] + '…'}"


class Criterion(Protocol):
    """One condition of a query."""

    @property
    def text(self) -> str:
        """As the user would write it."""

    def quick(self) -> tuple[Callable[[BackendInfo], Any], Callable[[Any], bool]] | None:
        """A reader of the listing and a test of what it read, where the criterion is that simple: lists of many
        thousand backends are sifted with it. A value of None leaves the criterion open."""

    def outcome(self, view: View) -> Outcome: ...

    def attributes(self) -> Iterable[Attribute]:
        """What it looks at."""

    def reason(self, view: View) -> str:
        """Why the view did not satisfy it."""
