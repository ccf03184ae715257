"""One vendor's hooks, called with the cross-cutting plugins around them, and its own answer kept."""

from __future__ import annotations

import copy
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping
from types import CodeType, TracebackType
from typing import Any, TypeAlias

import pluggy

from qprovider_core import hookspecs, records
from qprovider_core._manager import PREFIX, make_manager
from qprovider_core.errors import (
    PluginError,
    QProviderError,
    TransportError,
    UnsupportedError,
    VetoError,
    text_of,
)
from qprovider_core.records import ProviderSpec
from qprovider_core.secret import get_logger, scrub

_log = get_logger("qprovider.plugins")

HOOKS = tuple(name for name in vars(hookspecs) if name.startswith(PREFIX))

# What a hook answers, where one type will do: a record's name, or bool. The core checks it at the border.
ANSWERS: Mapping[str, str] = {
    "qprovider_provider": "ProviderSpec",
    "qprovider_account_info": "AccountInfo",
    "qprovider_close_account": "bool",
    "qprovider_backend_configuration": "BackendConfiguration",
    "qprovider_backend_status": "BackendStatus",
    "qprovider_backend_properties": "BackendProperties",
    "qprovider_submit_job": "JobInfo",
    "qprovider_get_job": "JobInfo",
    "qprovider_job_result": "JobResult",
    "qprovider_cancel_job": "bool",
    "qprovider_list_jobs": "JobPage",
    "qprovider_find_submission": "Submission",
    "qprovider_update_job_tags": "bool",
    "qprovider_delete_job": "bool",
    "qprovider_job_details": "JobDetails",
    "qprovider_open_session": "SessionInfo",
    "qprovider_close_session": "bool",
    "qprovider_session_details": "SessionInfo",
}

# How a missing hook is spoken of.
_PHRASES: Mapping[str, str] = {
    "qprovider_foreign_accounts": "accounts saved by other clients",
    "qprovider_open_account": "opening accounts",
    "qprovider_account_info": "account information",
    "qprovider_list_backends": "listing backends",
    "qprovider_backend_configuration": "backend configurations, so its backends cannot be opened",
    "qprovider_backend_status": "backend status",
    "qprovider_backend_properties": "calibration data",
    "qprovider_backend_defaults": "backend defaults",
    "qprovider_submit_job": "running circuits",
    "qprovider_get_job": "job status",
    "qprovider_job_result": "job results",
    "qprovider_cancel_job": "cancelling jobs",
    "qprovider_list_jobs": "listing jobs",
    "qprovider_find_submission": "looking up submissions",
    "qprovider_update_job_tags": "changing the tags of a job",
    "qprovider_delete_job": "deleting jobs",
    "qprovider_job_details": "job details",
    "qprovider_open_session": "sessions",
    "qprovider_close_session": "sessions",
    "qprovider_session_details": "sessions",
}


def _type_of(name: str) -> type:
    kind: type = bool if name == "bool" else getattr(records, name)
    return kind


class _Frame:
    """What happened innermost in one hook call, whatever the wrappers around it made of it."""

    __slots__ = ("answer", "entered", "error")

    def __init__(self) -> None:
        self.entered = False
        self.answer: Any = None
        self.error: BaseException | None = None


class _Witness:
    """The innermost wrapper of every hook. It records the vendor's own answer or error, which then stands."""

    def __init__(self) -> None:
        self._frames = threading.local()
        self.watched: frozenset[str] = frozenset()  # hooks that have wrappers around them
        for name in HOOKS:
            setattr(self, name, hookspecs.hookimpl(wrapper=True, trylast=True)(self._recorder(name)))

    def _recorder(self, hook: str) -> Any:
        def record() -> Generator[None, Any, Any]:
            frame: _Frame = self._frames.stack[-1]
            frame.entered = True
            try:
                answer = yield
                # A generator is read here: a wrapper that reads it would leave nothing. A connection is the
                # vendor's own object, whatever its type.
                if hook != "qprovider_open_account" and isinstance(answer, list | set | Iterator):
                    answer = tuple(answer)
                if answer is hookspecs.NO_ANSWER:
                    answer = None
            except BaseException as exc:
                frame.error = exc
                raise
            frame.answer = answer
            return _copy_of(answer) if hook in self.watched else answer

        return record

    def push(self) -> _Frame:
        if not hasattr(self._frames, "stack"):
            self._frames.stack = []
        frame = _Frame()
        self._frames.stack.append(frame)
        return frame

    def pop(self) -> None:
        self._frames.stack.pop()


def _copy_of(answer: Any) -> Any:
    """What wrappers are shown: whatever they do to it, the vendor's answer stands."""
    try:
        return copy.deepcopy(answer)
    except Exception:  # noqa: BLE001  a vendor's own object, such as a connection, need not be copyable
        return answer


_Wiring: TypeAlias = tuple[pluggy.PluginManager, _Witness, dict[CodeType, str]]


class Provider:
    """One vendor: its announcement, and its hooks with the cross-cutting plugins around them."""

    def __init__(self, name: str, plugin: object, spec: ProviderSpec, hooks: frozenset[str]) -> None:
        self.plugin_name = name
        self.spec = spec
        self.capabilities = hooks
        self._plugin = plugin
        self._cross_cutting: tuple[tuple[str, object], ...] = ()
        self._wiring: _Wiring | None = None

    def wire(self, cross_cutting: Iterable[tuple[str, object]]) -> None:
        """Have these around the vendor from now on. Calls under way keep those that they began with."""
        self._cross_cutting = tuple(cross_cutting)
        self._wiring = None  # made when it is needed: most vendors are not asked anything in most commands

    def _wired(self) -> _Wiring:
        """A manager with the vendor and the cross-cutting plugins in it."""
        wiring = self._wiring
        if wiring is None:
            wiring = self._wiring = self._wire_up(self._cross_cutting)
        return wiring

    def _wire_up(self, cross_cutting: Iterable[tuple[str, object]]) -> _Wiring:
        # pluggy asks who came last first: the vendor before what others answer without `tryfirst`.
        plugins = [*cross_cutting, (self.plugin_name, self._plugin)]
        witness = _Witness()
        # The last wrapper registered "trylast" is the innermost one.
        manager = make_manager([*plugins, ("qprovider witness", witness)])
        owners = {
            impl.function.__code__: impl.plugin_name
            for hook in HOOKS
            for impl in getattr(manager.hook, hook).get_hookimpls()
            if hasattr(impl.function, "__code__") and impl.plugin is not witness
        }
        witness.watched = frozenset(
            hook
            for hook in HOOKS
            if hook != "qprovider_open_account"
            and any(
                (impl.wrapper or impl.hookwrapper) and impl.plugin is not witness
                for impl in getattr(manager.hook, hook).get_hookimpls()
            )
        )
        return manager, witness, owners

    def announced_alone(self, manager: pluggy.PluginManager | None) -> ProviderSpec | None:
        """What it announces, where no other plugin watches; `manager` holds it alone, if it was made.

        Raises:
            QProviderError: As `call`.
        """
        try:
            spec = (self._plugin if manager is None else manager.hook).qprovider_provider()  # type: ignore[attr-defined]
        except QProviderError:
            raise
        except BaseException as exc:  # noqa: BLE001  a vendor's own code, in a thread of ours
            raise self._translate("qprovider_provider", exc, {}) from (None if _leaks(exc) else exc)
        checked: ProviderSpec | None = self._checked("qprovider_provider", spec)
        return checked

    def supports(self, hook: str) -> bool:
        """Whether the vendor itself implements the hook."""
        return hook in self.capabilities

    def takes(self, hook: str, argument: str) -> bool:
        """Whether the vendor's implementation of the hook names that argument."""
        implementations = getattr(self._wired()[0].hook, hook).get_hookimpls()
        return any(argument in impl.argnames for impl in implementations if impl.plugin is self._plugin)

    def require(self, hook: str) -> None:
        """Raise `UnsupportedError` unless the vendor implements the hook."""
        if hook not in self.capabilities:
            phrase = _PHRASES.get(hook, hook)
            raise UnsupportedError(
                f"{self.spec.title} does not offer {phrase}.",
                why=f"Its plugin {self.plugin_name!r} has no hook {hook}.",
                hint="A newer version of the plugin may have it; see `qprovider plugins`.",
                capability=hook.removeprefix("qprovider_"),
                plugin=self.plugin_name,
                hook=hook,
            )

    def call(self, hook: str, **arguments: Any) -> Any:
        """Call a hook and return the vendor's answer, checked for its type; None when it gave none.

        Raises:
            VetoError: A cross-cutting plugin refused the call; the vendor was not called.
            QProviderError: The vendor's own, as it raised it.
            TransportError: The vendor's plugin raised a connection error or ran into a time limit.
            PluginError: The vendor's plugin raised anything else, or answered with a wrong type.
        """
        manager, witness, owners = self._wired()
        frame = witness.push()
        outer: BaseException | None = None
        try:
            getattr(manager.hook, hook)(**arguments)
        except BaseException as exc:
            if isinstance(exc, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
                raise  # the user's own: no other thread gets the signal
            outer = exc
        finally:
            witness.pop()
        if not frame.entered:
            raise self._veto(hook, outer, owners) from (None if _leaks(outer) else outer)
        if isinstance(frame.error, QProviderError):
            if _leaks(frame.error):
                raise frame.error from None
            raise frame.error
        if frame.error is not None:
            # A vendor's client may quote the token in its own error, and a traceback prints the cause.
            cause = None if _leaks(frame.error) else frame.error
            raise self._translate(hook, frame.error, owners) from cause
        if outer is not None:
            _log.warning(
                "plugin %r raised %s after %s had answered %s; the answer stands",
                _owner(outer.__traceback__, owners) or "(unknown)",
                describe(outer),
                self.spec.name,
                hook,
            )
        return self._checked(hook, frame.answer)

    def _veto(self, hook: str, exc: BaseException | None, owners: Mapping[CodeType, str]) -> QProviderError:
        by = _owner(exc.__traceback__ if exc else None, owners) or "(unknown)"
        reason, why, hint = describe(exc), None, None
        if isinstance(exc, RuntimeError) and "did not yield" in str(exc):
            reason = "its wrapper did not let the call through, which a wrapper must"
            by = _named_in(str(exc), owners) or by
        if isinstance(exc, QProviderError):  # in the words of its author
            reason, why, hint = text_of(exc).rstrip(".") or reason, exc.why, exc.hint
        out = f"Leave it out with QPROVIDER_DISABLE_PLUGINS={by} if that is not wanted."
        return VetoError(
            f"Plugin {by!r} refused {hook} for {self.spec.name}: {reason}.",
            plugin=by,
            hook=hook,
            why=why,
            hint=f"{hint} {out}" if hint else out,
        )

    def _translate(self, hook: str, exc: BaseException, owners: Mapping[CodeType, str]) -> QProviderError:
        if _is_of_the_network(exc):
            return TransportError(f"{self.spec.title} could not be reached: {describe(exc)}.")
        by = _owner(exc.__traceback__, owners) or self.plugin_name  # a replayer answers in the vendor's place
        return PluginError(
            f"The plugin {by!r} failed in {hook}: {describe(exc)}.",
            plugin=by,
            hook=hook,
            hint="This is a fault of the plugin: report it to its authors.",
            answered=not _is_a_refusal(exc),
        )

    def _checked(self, hook: str, answer: Any) -> Any:
        name = ANSWERS.get(hook)
        expected: type | None = None if name is None else _type_of(name)
        if answer is None or expected is None or isinstance(answer, expected):
            return answer
        raise PluginError(
            f"The plugin {self.plugin_name!r} answered {hook} with a {type(answer).__name__}; "
            f"a {expected.__name__} was expected.",
            plugin=self.plugin_name,
            hook=hook,
            hint="This is a fault of the plugin: report it to its authors.",
            answered=True,
        )


def describe(exc: BaseException | None) -> str:
    """An error's class and text on one line."""
    if exc is None:
        return "no reason given"
    text = text_of(exc)
    return f"{type(exc).__name__}: {text}".rstrip(".") if text else type(exc).__name__


# Names of the errors by which the common clients say that a connection broke or timed out; we import none of them.
_BROKEN = frozenset(
    {
        "APIConnectionError", "ChunkedEncodingError", "ClientConnectionError", "ConnectError", "ConnectTimeout",
        "ConnectionError", "GatewayTimeout", "HTTPClientError", "HTTPException", "HTTPTimeoutError", "IncompleteRead",
        "NetworkError", "PoolTimeout", "ProtocolError", "ReadError", "ReadTimeout", "RemoteDisconnected",
        "RemoteProtocolError", "SSLError", "ServerDisconnectedError", "ServiceRequestError", "ServiceResponseError",
        "ServiceUnavailable", "Timeout", "TimeoutException", "TransportError", "URLError", "WriteError",
        "WriteTimeout", "gaierror",
    }
)  # fmt: skip


def _is_of_the_network(exc: BaseException) -> bool:
    """Whether a vendor's error says that it could not be reached, whatever client its plugin uses."""
    status = _http_status(exc)
    if status is not None:
        return status >= 500
    return isinstance(exc, ConnectionError | TimeoutError) or bool(
        _BROKEN & {kind.__name__ for kind in type(exc).__mro__}
    )


def _http_status(exc: BaseException) -> int | None:
    """The HTTP status of a refusal, as the common clients carry it; None where the error has none."""
    response = getattr(exc, "response", None)
    if isinstance(response, Mapping):  # of botocore
        response = response.get("ResponseMetadata")
    for holder in (response, exc):
        for name in ("status_code", "status", "code", "HTTPStatusCode"):
            status = holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)
            if isinstance(status, int) and 400 <= status < 600:
                return int(status)
    return None


def _is_a_refusal(exc: BaseException) -> bool:
    """Whether a vendor's error says that it does not do what was asked; another one may come after it was done."""
    if _http_status(exc) is not None or isinstance(exc, ImportError | NotImplementedError):
        return True
    return isinstance(exc, ValueError) and not (
        isinstance(exc, UnicodeError) or type(exc).__name__ in ("JSONDecodeError", "RequestsJSONDecodeError")
    )


def _leaks(exc: BaseException | None) -> bool:
    """Whether a traceback of the error, with what it was caused by, would print a secret."""
    seen: set[int] = set()
    while exc is not None and id(exc) not in seen:
        seen.add(id(exc))
        try:
            text = str(exc)
        except Exception:  # noqa: BLE001  a traceback cannot read it either
            text = ""
        if scrub(text) != text:
            return True
        exc = exc.__cause__ or exc.__context__
    return False


def _owner(traceback: TracebackType | None, owners: Mapping[CodeType, str]) -> str | None:
    """The plugin whose hook function is innermost in a traceback."""
    found = None
    while traceback is not None:
        found = owners.get(traceback.tb_frame.f_code, found)
        traceback = traceback.tb_next
    return found


def _named_in(text: str, owners: Mapping[CodeType, str]) -> str | None:
    """pluggy names the function that broke the protocol by file and line only."""
    for code, name in owners.items():
        if f"{code.co_filename}:{code.co_firstlineno}" in text:
            return name
    return None
