"""The emulator as a process: its start, its end, and what it leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest
import requests

from qprovider_ibm.emulator import Emulator

pytestmark = pytest.mark.slow  # left to `make check`

KEY = "a-key-of-my-own"


def gone(pid):
    """Whether a process ends within some seconds; one that nobody waited for counts."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            with open(f"/proc/{pid}/stat") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.01)
    return False


def test_importing_the_package_is_cheap():
    code = (
        "import sys, qprovider_ibm.emulator;"
        "print(sorted({'aiohttp', 'qiskit', 'numpy', 'requests', 'asyncio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_help_names_every_option():
    command = [sys.executable, "-m", "qprovider_ibm.emulator", "--help"]
    text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    for option in (
        *("--port", "--backends", "--latency", "--rate-limit", "--workers", "--queue-time", "--token-lifetime"),
        *("--api-key", "--instance", "--duplicate-name", "--archived-plan", "--page-size", "--usage-limit"),
        *("--usage-allocation", "--interactive-ttl", "--seed", "--parent"),
    ):
        assert option in text


@pytest.mark.parametrize(
    "arguments",
    [
        *(["--instance", "x"], ["--instance", "x:none"], ["--backends", "0"], ["--workers", "0"], ["--nothing"]),
        *(["--port", "-1"], ["--port", "65536"], ["--port", "80x"], ["--latency", "-1"], ["--latency", "nan"]),
        *(["--rate-limit", "0"], ["--queue-time", "inf"], ["--token-lifetime", "nan"], ["--page-size", "0"]),
        *(["--usage-limit", "-1"], ["--seed", "-1"], ["--api-key", ""], ["--interactive-ttl", "-1"]),
    ],
)
def test_a_wrong_command_line_is_explained(arguments):
    done = subprocess.run(
        [sys.executable, "-m", "qprovider_ibm.emulator", *arguments], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert arguments[0] in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_one_line_when_ready_and_a_clean_end(number):
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "qprovider_ibm.emulator", "--port", "0", "--api-key", KEY, "--instance", "mine:open"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    assert time.monotonic() - started < 10  # under 2 s where nothing else runs
    assert set(ready) == {"ready", "base", "api_keys", "instances"}
    assert ready["ready"] is True
    assert ready["base"].startswith("http://127.0.0.1:")
    assert ready["api_keys"] == [KEY]
    assert list(ready["instances"]) == ["mine"]
    assert ready["instances"]["mine"].startswith("crn:v1:bluemix:public:quantum-computing:us-east:a/")
    workers = requests.get(ready["base"] + "/_emulator/state", timeout=10).json()["workers"]
    process.send_signal(number)
    rest, errors = process.communicate(timeout=10)
    assert (process.returncode, rest, errors) == (0, "", "")
    assert len(workers) == 1
    assert all(gone(pid) for pid in workers)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("state", ["Queued", "Running"])
def test_jobs_that_have_not_ended_do_not_hold_up_the_end(number, state):
    program = 'OPENQASM 3.0; include "stdgates.inc"; bit[1] c; sx $0; c[0] = measure $0;'
    body = {
        "program_id": "sampler",
        "backend": "ibm_torino",
        "params": {"pubs": [[program, None, 8000]] * 200, "version": 2},
    }
    with Emulator(queue_time_s=60 if state == "Queued" else 0) as emulator:
        form = {"grant_type": "urn:ibm:params:oauth:grant-type:apikey", "apikey": emulator.api_key}
        token = requests.post(f"{emulator.base}/identity/token", data=form, timeout=10).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}", "Service-CRN": emulator.instances["open-main"]}
        jobs = f"{emulator.base}/api/v1/jobs"
        for _ in range(3):
            assert requests.post(jobs, json=body, headers=headers, timeout=10).status_code == 200
        end = time.monotonic() + 30
        while state not in {job["status"] for job in requests.get(jobs, headers=headers, timeout=10).json()["jobs"]}:
            assert time.monotonic() < end
            time.sleep(0.01)
        pids = [emulator.pid, *emulator.state()["workers"]]
        os.kill(emulator.pid, number)
        assert all(gone(pid) for pid in pids)  # `gone` waits 10 s at most, which is no clean end
        assert emulator._process.wait(1) == 0


@pytest.mark.parametrize("missing", ["aiohttp", "qiskit_aer"])
def test_a_library_that_is_missing_is_named_with_the_extra(missing, tmp_path):
    """As after an installation without the extra."""
    (tmp_path / "sitecustomize.py").write_text(
        textwrap.dedent(
            f"""
            import sys

            class Missing:
                def find_spec(self, name, path=None, target=None):
                    if name == {missing!r}:
                        raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

            sys.meta_path.insert(0, Missing())
            """
        )
    )
    done = subprocess.run(
        [sys.executable, "-m", "qprovider_ibm.emulator", "--port", "0"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.strip() == f"The emulator needs {missing}: pip install 'qprovider-ibm[emulator]'"


def test_a_taken_port_is_explained():
    with Emulator() as first:
        port = int(first.base.rpartition(":")[2])
        with pytest.raises(RuntimeError, match=f"cannot listen on port {port}"):
            Emulator(port=port)


def test_only_loopback_is_listened_on():
    with Emulator() as emulator:
        port = int(emulator.base.rpartition(":")[2])
        with open("/proc/net/tcp") as file:
            places = [line.split()[1] for line in file if f":{port:04X} " in line and line.split()[3] == "0A"]
        assert places == [f"0100007F:{port:04X}"]


def test_closing_ends_it_and_its_workers_and_can_be_repeated():
    emulator = Emulator(workers=2)
    workers = emulator.state()["workers"]
    assert len(workers) == 2
    emulator.close()
    emulator.close()
    assert all(gone(pid) for pid in [emulator.pid, *workers])


def test_it_ends_with_the_process_that_started_it(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import os, signal
            from qprovider_ibm.emulator import Emulator
            emulator = Emulator()  # no main guard: the script must not run again
            print(emulator.pid, *emulator.state()["workers"], flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
            """
        )
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGKILL
    pids = [int(word) for word in done.stdout.split()]
    assert len(pids) == 2
    assert all(gone(pid) for pid in pids)


def test_workers_end_with_a_server_that_is_killed():
    emulator = Emulator()
    (worker,) = emulator.state()["workers"]
    os.kill(emulator.pid, signal.SIGKILL)
    assert gone(worker)
    emulator.close()


def test_addresses_and_environment(ibm_emulator):
    base = ibm_emulator.base
    assert ibm_emulator.endpoints() == {
        "iam": base,
        "search": base,
        "catalog": f"{base}/globalcatalog/api/v1",
        "resource_controller": base,
        "api": f"{base}/api/v1",
    }
    assert ibm_emulator.environment() == {
        "QPROVIDER_IBM_TOKEN": ibm_emulator.api_key,
        "QPROVIDER_IBM_IAM_URL": base,
        "QPROVIDER_IBM_SEARCH_URL": base,
        "QPROVIDER_IBM_CATALOG_URL": f"{base}/globalcatalog/api/v1",
        "QPROVIDER_IBM_RESOURCE_CONTROLLER_URL": base,
        "QPROVIDER_IBM_API_URL": f"{base}/api/v1",
    }
    crn = ibm_emulator.instances["open-main"]
    assert ibm_emulator.environment("open-main")["QPROVIDER_IBM_INSTANCE"] == crn
    assert ibm_emulator.environment(crn)["QPROVIDER_IBM_INSTANCE"] == crn


def test_a_wrong_instance_is_refused_before_anything_starts():
    with pytest.raises(ValueError, match="expected NAME:PLAN"):
        Emulator(instances=["nonsense"])
