"""A run of many benches, each in a process of its own: one that fails or hangs costs its own lines only."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import _fresh, _service
from benchmarks._fresh import ROOT, SHARED_FOLDER, reason
from benchmarks._harness import Bench, failed_rows, run
from benchmarks._sizes import Sizes

LONGEST_S = 600.0
_FOREIGN = ("QPROVIDER_", "QISKIT_IBM_", "IAM_", "GLOBAL_", "HTTP_PROXY", "HTTPS_PROXY", "BENCH_")


def rows(
    chosen: Sequence[Bench], sizes: Sizes, rounds: int | None = None, *, inside: bool = False
) -> Iterator[list[dict[str, Any]]]:
    """The rows of one bench after another, as they come.

    Args:
        inside: Run all in this process, which takes its environment from `clean_environment`: for the tests.
    """
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        own = clean_environment(home)
        service: dict[str, str] | None = None
        for bench in chosen:
            environment = own
            if bench.emulator:
                if service is None:
                    try:
                        service = _service.environment(stack.enter_context(_service.start(sizes)))
                    except (RuntimeError, OSError) as exc:
                        yield failed_rows(bench, f"the emulated service did not start: {exc}")
                        continue
                environment = {**own, **service}
            if inside:
                yield in_this_process(bench, rounds, environment)
            else:
                yield in_own_process(bench, sizes, rounds, environment)


def clean_environment(home: Path) -> dict[str, str]:
    """This process's environment without anybody's accounts, jobs and settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    places = {f"QPROVIDER_{kind}_DIR": str(home / kind.lower()) for kind in ("CONFIG", "DATA", "CACHE")}
    return {**kept, "HOME": str(home), SHARED_FOLDER: str(home), **places}


def in_this_process(bench: Bench, rounds: int | None, environment: dict[str, str]) -> list[dict[str, Any]]:
    _fresh.INSIDE = True
    os.environ.clear()
    os.environ.update(environment)
    gc.freeze()  # else collecting garbage takes longer than all benches together
    try:
        return run(bench, rounds)
    except Exception as exc:
        return failed_rows(bench, f"{type(exc).__name__}: {exc}")


def in_own_process(
    bench: Bench, sizes: Sizes, rounds: int | None, environment: dict[str, str], longest_s: float = LONGEST_S
) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "benchmarks", "--sizes", sizes.name, "--worker", bench.name]
    if rounds is not None:
        command += ["--rounds", str(rounds)]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=longest_s)
    except subprocess.TimeoutExpired:
        return failed_rows(bench, f"it was not done after {longest_s:g} s")
    finally:
        _end(process)
    if process.returncode:
        return failed_rows(bench, reason(errors) if errors.strip() else f"it ended with {process.returncode}")
    try:
        told: list[dict[str, Any]] = json.loads(output.splitlines()[-1])
    except (ValueError, IndexError):
        return failed_rows(bench, f"it told no figures: {output[-200:]!r}")
    return told


def _end(process: subprocess.Popen[str]) -> None:
    """End a bench and whatever it started, if that still runs."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
    finally:
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
