"""Qiskit's native part must be loaded by a thread that lives on: whatever thread we or a plugin load it in."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow  # left to `make check`

WRITE = """
import threading
from io import BytesIO


def write():
    from qiskit import QuantumCircuit, qpy

    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    for _ in range(20):
        qpy.dump(circuit, BytesIO())


def everywhere():
    write()
    for _ in range(3):
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
    print("written")
"""
IN_A_HOOK = """
from qprovider_core._concurrency import in_background

in_background(lambda: __import__("qiskit").__version__, "hook").result()
"""
IN_A_LANE = """
from qprovider_core._concurrency import Lanes
from qprovider_core.records import Deadline

Lanes(2).map(lambda name: __import__(name).__version__, ["qiskit"], Deadline.after(60), "lane")
"""
IN_A_THREAD_OF_THE_USERS = """
import qprovider_core as qp

asker = threading.Thread(target=lambda: qp.Backend)
asker.start()
asker.join()
"""


@pytest.mark.parametrize("first", [IN_A_HOOK, IN_A_LANE, IN_A_THREAD_OF_THE_USERS])
def test_circuits_are_written_whatever_thread_loaded_qiskit(first):
    done = subprocess.run([sys.executable, "-c", f"{WRITE}\n{first}\neverywhere()"], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "written"), done.stderr[-2000:]


def test_a_process_ends_although_the_thread_that_loaded_qiskit_rests():
    code = f"{IN_A_HOOK}\nprint('over')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, "over"), done.stderr
