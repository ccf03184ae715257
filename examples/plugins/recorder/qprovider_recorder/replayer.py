"""The replayer: an implementation of every hook that answers from the file named by QPROVIDER_REPLAY.

It stands before the vendor, which is not called any more. Without the variable it leaves all calls to it.
"""

from __future__ import annotations

import builtins
import functools
import json
import threading
from types import SimpleNamespace
from typing import Any, NoReturn

from qprovider_core import config, errors, hookimpl, hookspecs, records
from qprovider_recorder.recorder import HOOKS, OPEN, SUBMIT, asked

_CLOSE = "qprovider_close_account"
_HINT = "Record the script anew with QPROVIDER_RECORD, or unset QPROVIDER_REPLAY to ask the vendor."
_lock = threading.Lock()


class Recording:
    """What a file holds, as it is played: to each call its answers in turn, the last one again and again."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._calls: dict[str, list[Any]] = {}
        self._keys: dict[str, str] = {}  # of the submissions of this run, to those that were recorded
        try:
            with open(path, encoding="utf-8") as lines:
                for call in map(json.loads, lines):
                    self._calls.setdefault(json.dumps(call["asked"], sort_keys=True), []).append(call)
        except (OSError, ValueError, LookupError, TypeError) as exc:
            why = f"{type(exc).__name__}: {exc}"
            raise errors.ConfigurationError(f"The recording {path} cannot be read.", why=why, hint=_HINT) from exc

    def play(self, hook: str, text: str, key: str) -> Any:
        """What was told when this was asked. A submission is answered as often as it was recorded, not once more."""
        for new, old in self._keys.items():
            text = text.replace(new, old)
        calls = self._calls.get(text)
        if not calls:
            raise errors.QProviderError(
                f"This call of {hook} is not in the recording {self._path}; nobody was asked.",
                why=f"Nothing {'more ' if calls == [] else ''}was recorded for {text[:200]}",
                hint=_HINT,
            )
        call = calls.pop(0) if len(calls) > 1 or hook == SUBMIT else calls[0]
        if key:
            self._keys[key] = call["key"]
        answer = json.dumps(call["told"])
        for new, old in self._keys.items():
            answer = answer.replace(old, new)
        return json.loads(answer)


_opened = functools.cache(Recording)


class Offline:
    """The connection of an account that is replayed: nothing can be asked past the hooks."""

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise errors.QProviderError(
            f"{name!r} cannot be replayed.", why="It is asked of the vendor's connection, past the hooks.", hint=_HINT
        )


def made(told: Any) -> Any:
    """The answer of a recording as it was; an error is raised."""
    if isinstance(told, list):
        return [made(one) for one in told]
    if "error" not in told:
        return getattr(records, told["record"]).from_dict(told["value"]) if told["record"] else told["value"]
    kind = getattr(errors, told["error"], None) or getattr(builtins, told["error"])
    exc = kind.__new__(kind)
    for name, value in told["facts"].items():
        setattr(exc, name, value)
    raise exc


def _replaying(hook: str) -> Any:
    @hookimpl(tryfirst=True)
    @functools.wraps(getattr(hookspecs, hook))
    def replay(*values: Any) -> Any:
        path = config.variable("QPROVIDER_REPLAY")
        if path is None:
            return None  # the vendor's turn
        if hook == _CLOSE:
            return True
        text, key = asked(hook, values)
        with _lock:
            told = _opened(path).play(hook, text, key)
        answer = made(told)
        if hook == OPEN:
            return Offline()
        return hookspecs.NO_ANSWER if answer is None else answer

    return replay


plugin = SimpleNamespace(**{hook: _replaying(hook) for hook in HOOKS})
