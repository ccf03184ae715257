"""What vendors' errors mean, whatever client their packages use: refused credentials, no connection, no such job."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from json import JSONDecodeError
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from qiskit.providers import JobError

from qprovider_core.errors import AuthenticationError, QProviderError, TransportError
from qprovider_core.records import ProviderSpec

P = ParamSpec("P")
T = TypeVar("T")

_REFUSED = frozenset({401, 403})
_ABSENT = frozenset({400, 404, 410, 422})  # how services answer an id that they do not know
_LONGEST = 300


class _OfAVendor(Protocol):
    @property
    def spec(self) -> ProviderSpec: ...


S = TypeVar("S", bound=_OfAVendor)


def in_our_words(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """A method whose vendor's errors are told as ours, where it is plain what they mean."""

    @functools.wraps(method)
    def told(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with vendors_errors(self.spec):
            return method(self, *args, **kwargs)

    return told


@contextmanager
def vendors_errors(spec: ProviderSpec) -> Iterator[None]:
    """Tell errors of a vendor as ours. One whose meaning is not plain goes on as it is.

    Raises:
        AuthenticationError: The vendor refused the credentials.
        TransportError: It could not be reached, or has no time; hidden in an error of the vendor's own.
    """
    try:
        yield
    except QProviderError:
        raise
    except Exception as exc:
        causes = list(_causes(exc))
        statuses = [status for status in map(http_status, causes) if status is not None]
        if _REFUSED & {*statuses}:
            raise AuthenticationError(
                f"{spec.title} refused the credentials.",
                why=words_of(next(one for one in causes if http_status(one) in _REFUSED)),
                hint=spec.credentials_help or f"Save new ones with `qprovider accounts add {spec.name}`.",
            ) from exc
        if any(status == 429 or status >= 500 for status in statuses) or any(map(_is_of_the_network, causes[1:])):
            raise TransportError(
                f"{spec.title} could not be reached: {words_of(causes[-1])}.", hint="Try again in a while."
            ) from exc
        raise


def _causes(exc: BaseException) -> Iterator[BaseException]:
    """An error, and what it was made of. Some clients keep that in an attribute instead of the chain."""
    seen: list[BaseException] = []
    one: Any = exc
    while isinstance(one, BaseException) and one not in seen:
        seen.append(one)
        yield one
        one = one.__cause__ or getattr(one, "_cause", None)


def http_status(exc: BaseException) -> int | None:
    """The HTTP status that an error carries; None where it has none."""
    response = getattr(exc, "response", None)
    told = [getattr(holder, name, None) for holder in (response, exc) for name in ("status_code", "status")]
    if isinstance(response, Mapping) and isinstance(metadata := response.get("ResponseMetadata"), Mapping):  # of AWS
        told.append(metadata.get("HTTPStatusCode"))
    return next((int(status) for status in told if isinstance(status, int) and 400 <= status < 600), None)


def _is_of_the_network(exc: BaseException) -> bool:
    # Errors of files have a number; those of the common HTTP clients, which are OSErrors as well, have none.
    return isinstance(exc, ConnectionError | TimeoutError) or (isinstance(exc, OSError) and exc.errno is None)


def says_absent(exc: Exception) -> bool:
    """Whether a vendor's error means that there is no such job; not one of the network, or of the credentials."""
    status = http_status(exc)
    if status is not None:
        return status in _ABSENT
    # An answer that cannot be read says nothing of the job, though its error is a ValueError.
    other = isinstance(exc, OSError | JobError | JSONDecodeError | UnicodeError)
    return isinstance(exc, LookupError | ValueError | NotImplementedError) and not other


def words_of(exc: BaseException) -> str:
    """What an error says, on one line and not too long; its class where it says nothing."""
    message = getattr(exc, "message", None)
    text = " ".join((message if isinstance(message, str) and message else str(exc)).split()).rstrip(".")
    return text[:_LONGEST] or type(exc).__name__
