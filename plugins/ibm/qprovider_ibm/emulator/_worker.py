"""The process that simulates: ``python -m qprovider_ibm.emulator._worker PARENT_PID THREADS``.

It reads jobs from its standard input and answers on its standard output, until the input ends.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import signal
import sys
import traceback
from contextlib import suppress
from typing import Any

from qprovider_ibm.emulator import _frames

_PR_SET_PDEATHSIG = 1  # prctl(2)


def main() -> None:
    parent, threads = int(sys.argv[1]), int(sys.argv[2])
    if sys.platform == "linux":
        # The end of the input tells it too, but not while a simulation runs.
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            return
    requests = os.fdopen(os.dup(0), "rb", buffering=0)
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whatever native code prints must not stand between frames
    with suppress(_frames.Closed):
        _warm_up(threads)
        _frames.write(replies, {"ready": True})
        while True:
            header, payload = _frames.read(requests)
            _frames.write(replies, *answer(header, payload, threads))


def _warm_up(threads: int) -> None:
    """Load what every job needs: the first run of a process is slow."""
    from qiskit import QuantumCircuit

    from qprovider_ibm.emulator import _estimator, _executor, _sampler  # noqa: F401  # loaded for later
    from qprovider_ibm.emulator._simulate import Simulation

    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    Simulation(source="simulator", threads=threads).run([circuit], 1)
    gc.freeze()


def answer(header: dict[str, Any], payload: bytes, threads: int) -> tuple[dict[str, Any], bytes]:
    """The result of a job as its text, or why there is none."""
    from qprovider_ibm.emulator import _estimator, _executor, _sampler
    from qprovider_ibm.emulator._decode import decode_params
    from qprovider_ibm.emulator._isa import JobError

    try:
        if header["program"] == "executor":  # its params have no tagged objects
            return {"ok": True}, _executor.run(json.loads(payload), header, threads)
        params = decode_params(payload)
        run = _sampler.run if header["program"] == "sampler" else _estimator.run
        return {"ok": True}, run(params, header, threads)
    except JobError as exc:
        return {"ok": False, "code": exc.code, "reason": str(exc), "solution": exc.solution, "text": _text()}, b""
    except Exception as exc:  # noqa: BLE001  # whatever Aer or Qiskit raise belongs to this job
        reason = f"{type(exc).__name__}: {exc}"
        return {"ok": False, "code": 9999, "reason": reason, "solution": "Verify the input.", "text": _text()}, b""


def _text() -> str:
    return traceback.format_exc()


if __name__ == "__main__":
    main()
