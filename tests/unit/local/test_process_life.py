"""Whole programs: what they import, and what is left when they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest
import qiskit_aer

pytestmark = pytest.mark.slow  # left to `make check`

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

PRELUDE = """
import sys, time
import qprovider_local as plugin
from qprovider_core.records import BackendRef, JobRequest, JobState, SamplePub
connection = plugin.qprovider_open_account(credentials=None)

def submit(circuit, shots=100):
    request = JobRequest(
        backend=BackendRef(name="aer_simulator"), pubs=[SamplePub(circuit=circuit, shots=shots)]
    )
    return plugin.qprovider_submit_job(connection=connection, request=request)

def wait(job, states):
    while plugin.qprovider_get_job(connection=connection, job=job.ref, wait_s=0.0).state not in states:
        time.sleep(0.001)

def long_one():
    from qiskit import QuantumCircuit
    circuit = QuantumCircuit(22, 22)
    for layer in range(400):
        circuit.h(range(22))
        circuit.measure(0, 0)
        with circuit.if_test((circuit.clbits[0], 1)):
            circuit.x(1)
    circuit.measure_all()
    return circuit

def running():
    global job
    job = submit(long_one(), shots=100_000)
    wait(job, [JobState.RUNNING])
    print(connection.pool.pids()[0], flush=True)
"""


@pytest.fixture
def script(tmp_path):
    """Start a program from a file without a main guard; end it if the test did not."""
    started = []

    def start(body, **options):
        path = tmp_path / "program.py"
        path.write_text(PRELUDE + textwrap.dedent(body))
        path_text = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        process = subprocess.Popen(
            [sys.executable, str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path_text},
            **options,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def finish(process, timeout=60):
    out, err = process.communicate(timeout=timeout)
    assert process.returncode == 0, err
    assert err == ""
    return out


def test_listing_imports_neither_qiskit_nor_numpy_and_starts_no_worker(script):
    out = finish(
        script(
            """
            names = [info.name for info in plugin.qprovider_list_backends(connection=connection)]
            heavy = {"qiskit", "qiskit_aer", "numpy", "requests", "qiskit_ibm_runtime"} & set(sys.modules)
            print(len(names), sorted(heavy), connection.pool.pids())
            """
        )
    )
    assert out.split(maxsplit=1) == ["10", "[] []\n"]


def test_listing_all_installed_devices_imports_neither_qiskit_nor_their_package(script):
    out = finish(
        script(
            """
            connection = plugin.qprovider_open_account(credentials=plugin.LocalOptions(all_devices=True))
            infos = plugin.qprovider_list_backends(connection=connection)
            heavy = {"qiskit", "qiskit_aer", "numpy", "qiskit_ibm_runtime"} & set(sys.modules)
            print(len(infos) > 50, sorted(heavy))
            """
        )
    )
    assert out == "True []\n"


def test_configuration_and_properties_of_a_twin_do_not_import_qiskit(script):
    out = finish(
        script(
            """
            ref = BackendRef(name="fake_belem")
            plugin.qprovider_backend_configuration(connection=connection, backend=ref)
            plugin.qprovider_backend_properties(connection=connection, backend=ref, at=None).t1(0)
            print(sorted({"qiskit", "qiskit_aer", "numpy"} & set(sys.modules)))
            """
        )
    )
    assert out == "[]\n"


def test_a_script_without_a_main_guard_runs_a_job(script):
    out = finish(
        script(
            """
            from qiskit import QuantumCircuit
            circuit = QuantumCircuit(1, 1)
            circuit.x(0)
            circuit.measure(0, 0)
            job = submit(circuit)
            wait(job, [JobState.DONE])
            print(dict(plugin.qprovider_job_result(connection=connection, job=job.ref).pubs[0].counts))
            """
        )
    )
    assert out == "{'1': 100}\n"


@linux
@pytest.mark.parametrize(
    "ending",
    ["", "sys.exit()", "import os; os._exit(0)", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"],
)
def test_however_the_interpreter_ends_in_the_middle_of_a_simulation_no_process_is_left(script, ending, gone):
    process = script(f"running()\n{ending}")
    pid = int(process.stdout.readline())
    ended = time.monotonic()
    process.wait(timeout=20)
    assert time.monotonic() - ended < 5
    assert gone(pid)


@linux
def test_ending_while_the_worker_still_starts_leaves_none(script, gone):
    process = script(
        """
        plugin.qprovider_backend_configuration(connection=connection, backend=BackendRef(name="aer_simulator"))
        while not connection.pool.pids():
            time.sleep(0.001)
        print(connection.pool.pids()[0], flush=True)
        """
    )
    pid = int(process.stdout.readline())
    process.wait(timeout=20)
    assert gone(pid)


@linux
def test_an_interrupt_from_the_terminal_reaches_the_program_and_not_its_jobs(script):
    process = script(
        """
        try:
            running()
            time.sleep(60)
        except KeyboardInterrupt:
            time.sleep(0.1)
            print(plugin.qprovider_get_job(connection=connection, job=job.ref, wait_s=0.0).state.value)
        """,
        start_new_session=True,
    )
    process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)  # what a terminal does
    assert finish(process) == "running\n"


@linux
def test_a_fork_begins_anew_and_leaves_its_parents_jobs_alone(script):
    out = finish(
        script(
            """
            import os
            import warnings
            from qiskit import QuantumCircuit
            from qprovider_core.errors import UnknownJobError

            circuit = QuantumCircuit(1, 1)
            circuit.measure(0, 0)
            running()
            warnings.simplefilter("ignore", DeprecationWarning)  # from 3.12 on: forking is just what is tried here
            child = os.fork()
            if child == 0:
                try:
                    plugin.qprovider_get_job(connection=connection, job=job.ref, wait_s=0.0)
                except UnknownJobError:
                    mine = submit(circuit)
                    wait(mine, [JobState.DONE])
                    plugin.qprovider_close_account(connection=connection)
                    os._exit(7)
                os._exit(1)
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            print(plugin.qprovider_get_job(connection=connection, job=job.ref, wait_s=0.0).state.value)
            """
        )
    )
    assert out.split()[1:] == ["7", "running"]


def test_what_the_workers_interpreter_prints_does_not_disturb_its_answers(bell, tmp_path, monkeypatch, open_local):
    (tmp_path / "sitecustomize.py").write_text("import os\nprint('hello')\nos.write(1, b'noise ' * 1000)\n")
    (tmp_path / "qiskit_aer").mkdir()
    real = qiskit_aer.__file__
    (tmp_path / "qiskit_aer" / "__init__.py").write_text(
        f"import os; print('loading'); os.system('echo native'); __path__.append({os.path.dirname(real)!r})\n"
        f"exec(open({real!r}).read())\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    account = open_local()
    assert sum(account.counts(bell).values()) == 1000


def test_a_file_of_the_current_directory_does_not_stand_in_for_a_module(script, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "random.py").write_text("raise RuntimeError('not the one that was meant')")
    out = finish(
        script(
            f"""
            import os
            os.chdir({str(elsewhere)!r})
            from qiskit import QuantumCircuit
            import qprovider_core as qp
            circuit = QuantumCircuit(1, 1)
            circuit.measure(0, 0)
            print(qp.get_backend("local:aer_simulator").run(circuit, shots=3).result().get_counts())
            """
        )
    )
    assert "{'0': 3}" in str(out)
