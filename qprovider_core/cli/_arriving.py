"""Backends while a query is under way: rows as they come, and a spinner for each vendor that is still out."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from qprovider_core._answers import Watcher
from qprovider_core._text import account_label
from qprovider_core.cli._backend_rows import RIGHT, TITLES, row_of
from qprovider_core.cli._output import clean, has_colour

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

    from qprovider_core._account import Account
    from qprovider_core._answers import Answer
    from qprovider_core.records import BackendInfo

_QUIET_S = 0.15  # an answer that is there sooner needs no show
_BESIDE = 3  # lines of the screen that are neither backends nor vendors
_SECOND = 10  # how often it is drawn anew in one


class Arriving(Watcher):
    """What has come so far, on a terminal. It is wiped when the query has ended: the whole table follows."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._infos: list[BackendInfo] = []
        self._silent: list[str] = []  # vendors that will not answer any more
        self._out: list[str] = []
        self._live: Live | None = None
        self._spinners: dict[str, Any] = {}
        self._timer: threading.Timer | None = None
        self._ended = False

    # -- told by the query --------------------------------------------------------------------------------

    def began(self, accounts: Sequence[Account]) -> None:
        self._out = [account.label for account in accounts]
        self._timer = threading.Timer(_QUIET_S, self._show)
        self._timer.daemon = True
        self._timer.start()

    def answered(self, answer: Answer) -> None:
        with self._lock:
            self._infos += [view.info for _, view in answer.found()]
            came = {account.label for account, _, _ in answer.lanes}
            for error in answer.errors:
                label = account_label(error.provider, error.account)
                if label not in came:
                    self._silent.append(str(error))
                came.add(label)
            self._out = [label for label in self._out if label not in came]

    # -- on the screen ------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        with self._lock:
            self._ended, live = True, self._live
        if live is not None:
            live.stop()

    def _show(self) -> None:
        from rich.console import Console  # late: rich is slow to import, and a quick answer needs none of it here
        from rich.live import Live

        console = Console(
            file=sys.stdout, markup=False, highlight=False, emoji=False, no_color=not has_colour(sys.stdout)
        )
        live = Live(
            console=console,
            get_renderable=lambda: self.drawn(console.height),
            refresh_per_second=_SECOND,
            transient=True,
        )
        with self._lock:
            if self._ended:
                return
            self._live = live
            live.start()

    def drawn(self, height: int) -> RenderableType:
        """The rows that there is room for, and who is still out."""
        from rich.console import Group  # late: with the rest
        from rich.spinner import Spinner
        from rich.table import Table
        from rich.text import Text

        infos, out, silent = list(self._infos), list(self._out), list(self._silent)
        parts: list[RenderableType] = []
        room = max(1, height - _BESIDE - len(out) - len(silent))
        if infos:
            table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
            for title in TITLES:
                table.add_column(title, justify="right" if title in RIGHT else "left", no_wrap=True)
            for info in infos[:room]:
                table.add_row(*(Text(clean(value)) for value in row_of(info)))
            parts.append(table)
            if len(infos) > room:
                parts.append(Text(f"… and {len(infos) - room} more", style="dim"))
        parts += [Text(clean(line), style="red") for line in silent]
        for label in out:
            text = Text(f"{clean(label)} has not answered yet", style="dim")
            parts.append(self._spinners.setdefault(label, Spinner("dots", text=text)))
        return Group(*parts)
