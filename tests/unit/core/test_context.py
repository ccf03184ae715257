"""The calibration that held for a job is kept beside it."""

import threading
import time
from datetime import UTC, datetime

import pytest
from qiskit import QuantumCircuit

import qprovider_core as qp
from qprovider_core import _context, hookimpl
from qprovider_core.errors import TransportError
from qprovider_core.ledger import Ledger, ledger_in_use
from qprovider_core.records import (
    BackendProperties,
    JobInfo,
    JobState,
    Measured,
    QubitCalibration,
)

pytestmark = pytest.mark.usefixtures("isolated")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def bit():
    circuit = QuantumCircuit(1, 1)
    circuit.x(0)
    circuit.measure(0, 0)
    return circuit


def until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


# ----------------------------------------------------------------------------------------------------- calibration


class Lab:
    """Calibrations, and how often they were asked for."""

    def __init__(self, when=NOON):
        self.when = when
        self.asked = []

    def properties(self, at):
        self.asked.append(at)
        qubits = [QubitCalibration(values={"T1": Measured(1.0)})] * 5
        return BackendProperties(backend_name="line", qubits=qubits, last_update=self.when)


@pytest.fixture
def lab(service):
    def make(when=NOON):
        made = Lab(when)
        acme = service(backend_properties=lambda at: made.properties(at))
        acme.lab = made
        acme.backend.properties()
        acme.backend.run(bit())
        _context._clerk.flush(20)
        return acme

    return make


def kept(key=None):
    record = ledger_in_use().find(key) if key else qp.list_jobs(offline=True)[0]
    return ledger_in_use().calibration(record.key) if record.has_calibration else None


def test_the_calibration_at_hand_is_kept_and_costs_no_request(lab):
    acme = lab()
    assert acme.lab.asked == [None]
    assert BackendProperties.from_dict(kept()).last_update == NOON


def test_one_calibration_is_kept_once_for_all_jobs(lab):
    acme = lab()
    other = acme.backend.run(bit())
    _context._clerk.flush(20)
    assert kept(other.key) == kept()
    assert ledger_in_use()._all("SELECT count(*) FROM calibrations")[0][0] == 1


def test_one_without_a_time_is_kept_for_its_job_alone(lab):
    acme = lab(when=None)
    acme.backend.run(bit())
    _context._clerk.flush(20)
    assert ledger_in_use()._all("SELECT count(*) FROM calibrations")[0][0] == 2


@pytest.fixture
def later(service):
    """A job as another process finds it: no calibration is at hand, and none was kept."""

    def make(properties):
        acme = service(lambda request: JobInfo(id="a0", state=JobState.DONE, started_at=NOON))
        acme.backend.run(bit())
        _context._clerk.flush(20)
        with ledger_in_use()._file.writing() as db:
            db.execute("UPDATE jobs SET calibration = NULL")
        acme.backend._account.vendor._plugin.qprovider_backend_properties = hookimpl(properties)
        acme.backend._account.vendor.wire([])
        return qp.job("a0")

    return make


def test_what_is_not_at_hand_is_asked_for_once_the_result_is_there(later):
    made = Lab()
    job = later(lambda at: made.properties(at))
    assert made.asked == []
    job.result()
    _context._clerk.flush(20)
    assert kept() is not None
    assert made.asked == [NOON]


@pytest.mark.parametrize("answer", [None, KeyError("x"), TransportError("Nobody there.")])
def test_a_vendor_that_gives_none_costs_nothing(answer, later):
    def properties(at):
        if answer is not None:
            raise answer
        return answer

    assert later(properties).result().get_counts() == {"0": 3, "1": 5}
    _context._clerk.flush(20)
    assert kept() is None


def test_a_device_without_calibration_is_not_asked_again(service):
    asked = []
    acme = service(backend_properties=lambda: asked.append(1))
    acme.backend.properties()
    acme.backend.run(bit()).result()
    _context._clerk.flush(20)
    assert asked == [1]


def test_a_ledger_that_fails_costs_the_calibration_alone(service, monkeypatch, caplog):
    def full(*_):
        raise ZeroDivisionError("odd")

    monkeypatch.setattr(Ledger, "link_calibration", full)
    acme = service(backend_properties=lambda at: Lab().properties(at))
    acme.backend.properties()
    assert acme.backend.run(bit()).result().get_counts() == {"0": 3, "1": 5}
    _context._clerk.flush(20)
    assert "something beside a job is not kept" in caplog.text


def test_one_thing_is_done_after_another_in_a_thread_that_ends():
    clerk, done = _context._Clerk(), []
    gate = threading.Event()
    clerk.do(lambda: gate.wait(20))
    for number in range(5):
        clerk.do(lambda number=number: done.append((number, threading.current_thread().name)))
    assert done == []
    gate.set()
    clerk.flush(20)
    assert [number for number, _ in done] == [0, 1, 2, 3, 4]
    assert len({name for _, name in done}) == 1
    until(lambda: not any(thread.name == "qprovider-clerk" for thread in threading.enumerate()))
    clerk.do(lambda: done.append((5, "")))
    clerk.flush(20)
    assert done[-1][0] == 5
