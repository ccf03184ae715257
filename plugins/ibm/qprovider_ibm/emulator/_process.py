"""The emulator as a process of its own, driven from Python. Importing this is cheap."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from types import TracebackType
from typing import IO, Any, Self

from qprovider_ibm.emulator import _addresses

_START_S = 30.0
_END_S = 10.0


class Emulator:
    """A running emulator: a context manager, or closed with `close`.

    Its keywords are those of `_settings.Settings`, which mirror the command line: `port`, `backends`, `latency_s`,
    `rate_limit` (a number, or True for 5), `workers`, `queue_time_s`, `token_lifetime_s`, `api_keys`,
    `instances` (texts ``NAME:PLAN[:REGION[:BACKEND,...]]``), `duplicate_name`, `archived_plan`, `page_size`,
    `usage_limit_s`, `seed`.

    Raises:
        ValueError: An instance is not of that form.
        RuntimeError: It did not start; the text says what it said.
    """

    def __init__(self, **settings: Any) -> None:
        from qprovider_ibm.emulator._settings import Settings, arguments_of  # late: attrs and argparse

        for name in ("api_keys", "instances"):
            if name in settings:
                settings[name] = tuple(settings[name])
        if isinstance(settings.get("rate_limit"), bool):
            settings["rate_limit"] = 5 if settings["rate_limit"] else None
        made = Settings(**{**settings, "parent": os.getpid()})
        made.all_instances()
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `close`
        # Not multiprocessing: that would run the caller's script again, which needs a main guard then.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "qprovider_ibm.emulator", *arguments_of(made)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            start_new_session=True,  # Ctrl-C ends the caller, which ends this one
        )
        try:
            ready = json.loads(self._first_line())
        except BaseException:
            self.close()
            raise
        self.base: str = ready["base"]
        self.api_keys: list[str] = ready["api_keys"]
        self.instances: dict[str, str] = ready["instances"]

    def _first_line(self) -> str:
        assert self._process.stdout is not None
        end = time.monotonic() + _START_S
        line = b""
        while not line.endswith(b"\n"):
            waited, _, _ = select.select([self._process.stdout], [], [], max(0.0, end - time.monotonic()))
            part = os.read(self._process.stdout.fileno(), 65536) if waited else b""
            if not part:
                raise RuntimeError(f"the emulator did not start: {self._words()}")
            line += part
        return line.decode()

    def _words(self) -> str:
        self._log.seek(0)
        words = self._log.read().decode("utf-8", "replace").strip().splitlines()
        return words[-1] if words else f"it said nothing within {_START_S:g} s"

    # -- where it is -------------------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def api_key(self) -> str:
        """The first API key."""
        return self.api_keys[0]

    def endpoints(self) -> dict[str, str]:
        """Base addresses of the services."""
        return _addresses.endpoints(self.base)

    def environment(self, instance: str | None = None) -> dict[str, str]:
        """Environment variables that point the plugin here.

        Args:
            instance: Name or CRN of the instance to use; all of them without.
        """
        variables = _addresses.environment(self.base, self.api_key)
        if instance is not None:
            variables["QPROVIDER_IBM_INSTANCE"] = self.instances.get(instance, instance)
        return variables

    def runtime_environment(self) -> dict[str, str]:
        """Environment variables that point qiskit-ibm-runtime's login and search here; see `runtime_url`."""
        return _addresses.runtime_environment(self.base)

    @property
    def runtime_url(self) -> str:
        """The `url` for qiskit-ibm-runtime's service: it leaves one alone that says "experimental"."""
        return _addresses.runtime_url(self.base)

    # -- what happened, and what is to happen ------------------------------------------------------------------

    def requests(self) -> list[dict[str, Any]]:
        """The requests received so far, oldest first. Tokens are not among what is told."""
        seen: list[dict[str, Any]] = self._control("GET", "requests")["requests"]
        return seen

    def clear_requests(self) -> None:
        self._control("DELETE", "requests")

    def fault(self, kind: str, **settings: Any) -> int:
        """Arm a fault; the package's docstring lists them.

        Returns:
            Its number.
        Raises:
            ValueError: There is no such fault, or it cannot be set like this.
        """
        return int(self._control("POST", "faults", {"kind": kind, **settings})["id"])

    def faults(self) -> list[dict[str, Any]]:
        """The faults that are armed."""
        armed: list[dict[str, Any]] = self._control("GET", "faults")["faults"]
        return armed

    def clear_faults(self) -> None:
        """Disarm all faults and mend all backends."""
        self._control("DELETE", "faults")

    def state(self) -> dict[str, Any]:
        """Process ids of the workers, and the number of jobs."""
        found: dict[str, Any] = self._control("GET", "state")
        return found

    def copy_jobs(self, count: int) -> None:
        """Add that many copies of the newest job that has ended: a long history at once.

        Raises:
            ValueError: No job has ended yet.
        """
        self._control("POST", "jobs", {"count": count})

    def _control(self, method: str, what: str, body: Any = None) -> Any:
        from http.client import HTTPConnection  # late: slow to import

        host, _, port = self.base.removeprefix("http://").rpartition(":")
        connection = HTTPConnection(host, int(port), timeout=10)
        try:
            connection.request(method, f"/_emulator/{what}", None if body is None else json.dumps(body))
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        document = json.loads(text) if text else {}
        if answer.status == 400:
            raise ValueError(document["error"])
        if answer.status >= 300:
            raise RuntimeError(f"the emulator answered {answer.status} to {method} {what}")
        return document

    # -- its end -----------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End it and its workers, and wait until they are gone. Closing twice does nothing."""
        self._process.terminate()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdout, self._log):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        process = getattr(self, "_process", None)
        if process is not None and process.poll() is None:
            self.close()
