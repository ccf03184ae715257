"""What is said when a command fails: one readable block on standard error, never a traceback."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress

from qprovider_core.cli._output import clean_lines, tell
from qprovider_core.errors import QProviderError, UnknownNameError, WhereError
from qprovider_core.secret import scrub

FAILED, WRONG_USAGE, INTERRUPTED = 1, 2, 130


def report(exc: Exception, *, debug: bool) -> int:
    """Print what went wrong and return the exit code."""
    if _stopped_by_user(exc):
        return interrupted()
    if debug:
        import traceback  # late: rare

        tell(scrub("".join(traceback.format_exception(exc))).rstrip())
    if isinstance(exc, QProviderError):
        tell_error(exc.what, exc.why, exc.hint)
    elif isinstance(exc, OSError):  # a full disk, a folder that must not be read
        tell_error(scrub(str(exc)))
    else:
        tell_error(
            f"{type(exc).__name__}: {scrub(str(exc))}",
            "This is a fault of qprovider or of a plugin.",
            None if debug else "Report it with the output of `qprovider about` and `qprovider --debug ...`.",
        )
    return WRONG_USAGE if isinstance(exc, UnknownNameError | WhereError) else FAILED


def _stopped_by_user(exc: BaseException | None) -> bool:
    """Whether Ctrl-C is behind an error: native modules that it stops while they load raise others of their own."""
    while exc is not None:
        if isinstance(exc, KeyboardInterrupt):
            return True
        exc = exc.__cause__ or exc.__context__
    return False


def tell_error(what: str, why: str | None = None, hint: str | None = None) -> None:
    """One block: what happened; below it why, and what to do."""
    tell(f"Error: {what}", colour="red")
    for part in (why, hint):
        for line in clean_lines(part or ""):
            tell(f"  {line}" if line[:1].strip() else line)


def interrupted() -> int:
    """Say that the user stopped it, and return the exit code."""
    tell("Interrupted.")
    return INTERRUPTED


def drop_output() -> None:
    """Nobody reads on (``| head``): let the rest of the output go nowhere, in silence."""
    with suppress(OSError, ValueError):  # standard output may be no real file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def show_log_messages() -> None:
    """Warnings of the core and of plugins go to standard error, cleaned, one line each."""
    logger = logging.getLogger("qprovider")
    if not any(isinstance(handler, _Notes) for handler in logger.handlers):
        logger.addHandler(_Notes(logging.WARNING))


class _Notes(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        tell(f"Note: {' '.join(scrub(record.getMessage()).split())}", dim=True)
