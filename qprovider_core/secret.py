"""Text that never shows itself, and the scrubber that keeps it out of messages and logs."""

from __future__ import annotations

import logging
from typing import NoReturn

MASK = "********"
_SHORTEST_SCRUBBED = 6  # shorter texts occur in ordinary words: masking them would garble messages
_known: set[str] = set()


class Secret:
    """A text (a token, a password) whose every printed, pickled or JSON form is ``********``.

    Only `reveal()` gives the text. Two secrets are equal when their texts are.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError(f"a secret is a text, not {type(text).__name__}")
        self._text: str | None = text
        if len(text) >= _SHORTEST_SCRUBBED:
            _known.add(text)
            if '"' in text or "\\" in text or not (text.isascii() and text.isprintable()):
                _known.update(_in_json(text))

    def reveal(self) -> str:
        """The text itself: hand it to the vendor's client and nowhere else."""
        if self._text is None:
            raise ValueError("this secret was unpickled, and secrets do not travel in pickles")
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        if self._text is None or other._text is None:
            return False
        import hmac  # late: it loads OpenSSL

        return hmac.compare_digest(
            self._text.encode("utf-8", "surrogatepass"), other._text.encode("utf-8", "surrogatepass")
        )

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce__(self) -> tuple[object, ...]:
        return (_unpickled, ())

    def __iter__(self) -> NoReturn:
        raise TypeError("a secret cannot be iterated; call reveal()")


def _in_json(text: str) -> set[str]:
    """How the text stands in JSON."""
    import json  # late: few secrets need it

    return {json.dumps(text, ensure_ascii=ascii)[1:-1] for ascii in (False, True)}


def _unpickled() -> Secret:
    secret = Secret.__new__(Secret)
    secret._text = None
    return secret


def scrub(text: str) -> str:
    """`text` with every secret of this process masked."""
    for secret in sorted(_known, key=len, reverse=True):
        if secret in text:
            text = text.replace(secret, MASK)
    return text


class ScrubbingFilter(logging.Filter):
    """Masks secrets in log records, whatever way they were put in."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = scrub(record.getMessage())
        record.args = None
        if record.exc_info and not record.exc_text:
            record.exc_text = scrub(logging.Formatter().formatException(record.exc_info))
        return True


def get_logger(name: str) -> logging.Logger:
    """The logger of that name, with the scrubber on it."""
    logger = logging.getLogger(name)
    if not any(isinstance(f, ScrubbingFilter) for f in logger.filters):
        logger.addFilter(ScrubbingFilter())
    return logger
