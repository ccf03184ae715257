"""One worker process: started, spoken to, killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import IO, Any

from qprovider_local import _wire

_LOG_TAIL = 2000  # bytes of a dead worker's last words that are worth reading


class WorkerDied(Exception):
    """The process ended while an answer was expected; the text says how.

    Attributes:
        begun: Whether it had begun with the job that it was sent.
    """

    def __init__(self, how: str, *, begun: bool) -> None:
        super().__init__(how)
        self.begun = begun


class WorkerProcess:
    """``python -m qprovider_local._worker``, its pipes and what it wrote to its standard error.

    Not `multiprocessing`: that runs the user's script again in the child, which scripts without a main guard
    and notebooks do not survive. One thread starts the process, speaks to it and waits for it; only `kill` is
    for all threads. That thread must live as long as the process: on Linux the worker dies with it.
    """

    def __init__(self, *, max_threads: int) -> None:
        self._log = _scratch_file()
        try:
            self._popen = subprocess.Popen(
                # -P: a file in the current directory must not stand in for a module that the worker imports.
                [_interpreter(), "-P", "-m", "qprovider_local._worker", str(os.getpid()), str(max_threads)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log if self._log is not None else subprocess.DEVNULL,
                bufsize=0,
                # A session of its own: Ctrl-C in the user's terminal must not end a job behind their back.
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": _import_path()},
            )
        except OSError:
            if self._log is not None:
                self._log.close()
            raise
        self._ready = False
        self._killed = False
        self._read = 0

    @property
    def pid(self) -> int:
        return self._popen.pid

    def alive(self) -> bool:
        # A process that was killed a moment ago may still be there: it is not to get another job.
        return not self._killed and self._popen.poll() is None

    def wait_ready(self) -> None:
        """Wait until it has imported what it needs.

        Raises:
            WorkerDied: It could not.
        """
        if not self._ready:
            assert self._popen.stdout is not None
            try:
                _wire.await_mark(self._popen.stdout)
            except _wire.ChannelClosed:
                raise WorkerDied(self._last_words(), begun=False) from None
            self._receive(begun=False)
            self._ready = True

    def request(self, header: Any, payload: bytes, on_begin: Callable[[], None]) -> tuple[Any, bytes]:
        """Send one job and wait for its answer; `on_begin` is called when the worker begins with it.

        Raises:
            WorkerDied: There is no answer.
        """
        assert self._popen.stdin is not None
        try:
            _wire.send(self._popen.stdin, header, payload)
        except _wire.ChannelClosed:
            raise WorkerDied(self._last_words(), begun=False) from None
        self._receive(begun=False)
        on_begin()
        return self._receive(begun=True)

    def _receive(self, *, begun: bool) -> tuple[Any, bytes]:
        assert self._popen.stdout is not None
        try:
            return _wire.receive(self._popen.stdout)
        except _wire.ChannelClosed:
            raise WorkerDied(self._last_words(), begun=begun) from None

    def kill(self) -> None:
        """End it at once. For any thread; returns before the process is gone."""
        self._killed = True
        self._popen.kill()

    def close(self) -> None:
        """End it, wait for it, release pipes and log."""
        self._popen.kill()
        self._popen.wait()
        self.forget()

    def forget(self) -> None:
        """Close this process's ends only: for a fork, whose parent owns the worker."""
        for stream in (self._popen.stdin, self._popen.stdout, self._log):
            if stream is not None:
                with contextlib.suppress(OSError):  # unsent bytes of a broken pipe
                    stream.close()

    def new_log(self) -> str:
        """What it wrote to its standard error since the last call."""
        if self._log is None:
            return ""
        # pread: the child writes through the same open file, whose position must stay where it is.
        fd, size = self._log.fileno(), os.fstat(self._log.fileno()).st_size
        start, self._read = max(self._read, size - 64 * 1024), size
        if not hasattr(os, "pread"):
            return ""
        return os.pread(fd, size - start, start).decode("utf-8", "replace")

    def _last_words(self) -> str:
        code = self._popen.wait()
        if code < 0:
            try:
                how = f"it was ended by signal {signal.Signals(-code).name}"
            except ValueError:
                how = f"it was ended by signal {-code}"
            if -code == getattr(signal, "SIGKILL", 0):
                how += " (the system does that when memory runs out)"
        else:
            how = f"it ended with exit code {code}"
        words = self.new_log().strip()[-_LOG_TAIL:]
        last = words.splitlines()[-1].strip() if words else ""
        return f"{how}: {last}" if last else how


def _scratch_file() -> IO[bytes] | None:
    try:
        return tempfile.TemporaryFile()
    except OSError:  # nowhere to write: the last words of a worker are lost, nothing else
        return None


def _interpreter() -> str:
    if not sys.executable:
        raise OSError("this program does not say where its Python interpreter is (sys.executable is empty)")
    return sys.executable


def _import_path() -> str:
    """This process's import path, so that the worker finds what this process found."""
    return os.pathsep.join(path or _here() for path in sys.path)


def _here() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was deleted
        return ""
