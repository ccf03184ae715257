"""Errors in notebooks and IPython: what happened, why, what to do, and where in the user's own lines.

IPython asks an exception for `_render_traceback_`; plain Python does not, and shows what it always shows.
"""

from __future__ import annotations

import linecache
import os
import sys
import sysconfig
import traceback
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from qprovider_core._html import BAD, card, element, facts, joined, mark, never_raising, text_block
from qprovider_core._text import printable, printable_lines
from qprovider_core.secret import scrub

if TYPE_CHECKING:
    from qprovider_core.errors import QProviderError

_AROUND = 2  # lines of the user's code that are shown before and after the one that failed
_MOST_FRAMES = 4  # of the user's own that are shown with their lines
_LONGEST = 4000
_SHELLS = ("IPython", "ipykernel", "traitlets", "asyncio", "tornado")  # what stands around a cell
_RED, _BOLD, _FAINT, _PLAIN = "\x1b[31m", "\x1b[1m", "\x1b[2m", "\x1b[0m"


class _Frame(NamedTuple):
    """A place on the way to the error."""

    file: str
    line: int
    function: str
    package: str


# -- as the value of a cell -------------------------------------------------------------------------------------------


@never_raising
def error_html(error: QProviderError) -> str:
    """The error as the value of a cell, with its facts."""
    title = joined([mark("✗", BAD, element("b", type(error).__name__)), ": ", text_block(error.what or error)])
    told = [
        ("why", text_block(error.why) if error.why else None),
        ("what to do", text_block(error.hint) if error.hint else None),
        *((name, value) for name, value in _facts_of(error)),
    ]
    return card(title, facts(told))


def _facts_of(error: QProviderError) -> Iterator[tuple[str, object]]:
    """Facts of the error that are simple values and do not stand in its text already."""
    text = "\n".join(part for part in (error.what, error.why, error.hint) if isinstance(part, str))
    for name, value in vars(error).items():
        known = value is not None and isinstance(value, str | int | float) and not isinstance(value, bool)
        if known and not name.startswith("_") and name not in ("what", "why", "hint") and str(value) not in text:
            yield name, value


# -- when it is raised in IPython -------------------------------------------------------------------------------------


def render_traceback(error: QProviderError) -> list[str]:
    """The lines that IPython shows: the error in short, and where it came from.

    ``%xmode Verbose`` gives IPython's own full traceback, ``%xmode Minimal`` the error alone.
    """
    try:
        shell = _shell()
        mode = str(getattr(getattr(shell, "InteractiveTB", None), "mode", "Context"))
        if mode == "Verbose" and shell is not None:
            full: Any = shell.InteractiveTB.structured_traceback(type(error), error, error.__traceback__, tb_offset=1)
            return [scrub(line) for line in full]
        colours = str(getattr(shell, "colors", "")).casefold() not in ("nocolor", "")
        paint = _painted if colours else _unpainted
        lines = list(_told(error, paint))
        return lines if mode == "Minimal" else [*lines, *_where(error, shell, paint)]
    except Exception:  # noqa: BLE001  a vendor's subclass may be anything; what Python shows is always to be had
        return [scrub(line.rstrip("\n")) for line in traceback.format_exception(error)]


def _painted(style: str, text: str) -> str:
    return f"{style}{text}{_PLAIN}"


def _unpainted(style: str, text: str) -> str:
    return text


def _shell() -> Any:
    """The IPython that runs this process; None where there is none."""
    module = sys.modules.get("IPython")
    return None if module is None else module.get_ipython()


def _told(error: QProviderError, paint: Any) -> Iterator[str]:
    yield f"{paint(_RED, type(error).__name__)}: {_clean(error.what or error)}"
    for name, text in (("Why", error.why), ("What to do", error.hint)):
        if text:
            yield f"{paint(_BOLD, name + ':')} {_clean(text)}"
    for note in getattr(error, "__notes__", ()):
        yield _clean(note)
    seen: set[int] = {id(error)}
    cause: BaseException | None = error.__cause__
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        text = _clean(getattr(cause, "what", None) or cause)
        if text and text not in str(error):
            first = text.splitlines()[0]
            yield paint(_FAINT, f"It came from {type(cause).__name__}: {first[:300]}")
        cause = cause.__cause__


def _clean(value: object) -> str:
    text = printable_lines(scrub(str(value)))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _where(error: QProviderError, shell: Any, paint: Any) -> Iterator[str]:
    """The user's own lines, and in one line what lies below them."""
    frames = [frame for frame in _frames(error) if frame.package not in _SHELLS]
    own = [index for index, frame in enumerate(frames) if not _is_library(frame)]
    if own:
        yield ""
    for index in own[:_MOST_FRAMES]:
        yield from _lines_of(frames[index], shell, paint)
    if len(own) > _MOST_FRAMES:
        yield f"… and {len(own) - _MOST_FRAMES} more places in your code"
    below = frames[own[-1] + 1 :] if own else frames
    if below:
        last = below[-1]
        place = f"{'/'.join(last.file.replace(os.sep, '/').split('/')[-2:])}, line {last.line}, in {last.function}"
        depth = "1 call" if len(below) == 1 else f"{len(below)} calls"
        yield paint(_FAINT, f"{depth} further in: {printable(place)}. All of them: %xmode Verbose, then %tb")


def _frames(error: BaseException) -> list[_Frame]:
    found = []
    step = error.__traceback__
    while step is not None:
        code, names = step.tb_frame.f_code, step.tb_frame.f_globals
        package = str(names.get("__name__", "")).partition(".")[0]
        found.append(_Frame(code.co_filename, step.tb_lineno, code.co_qualname, package))
        step = step.tb_next
    return found


@cache
def _library_folders() -> tuple[str, ...]:
    folders: Mapping[str, str] = sysconfig.get_paths()
    return tuple({os.path.join(folders[name], "") for name in ("stdlib", "platstdlib", "purelib", "platlib")})


def _is_library(frame: _Frame) -> bool:
    """Whether the place is none of the user's own: an installed package, ours among them, or Python itself."""
    ours = frame.package.startswith("qprovider_")
    return ours or frame.file.startswith(_library_folders()) or frame.file.startswith("<frozen")


def _lines_of(frame: _Frame, shell: Any, paint: Any) -> Iterator[str]:
    cell = getattr(getattr(shell, "compile", None), "format_code_name", lambda name: None)(frame.file)
    name = " ".join(cell) if cell else frame.file
    inside = "" if frame.function == "<module>" else f", in {frame.function}"
    yield paint(_BOLD, printable(f"{name}, line {frame.line}{inside}"))
    source: Sequence[str] = linecache.getlines(frame.file)
    first = max(frame.line - _AROUND, 1)
    for number, text in enumerate(source[first - 1 : frame.line + _AROUND], first):
        arrow = "--> " if number == frame.line else "    "
        yield f"{arrow}{number:>3} {printable(scrub(text.rstrip())[:200])}"
