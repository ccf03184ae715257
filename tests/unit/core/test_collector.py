"""The garbage collector rests while documents are read, and is left as it was found."""

import gc
import threading

import pytest

from qprovider_core._collector import collector_paused
from qprovider_core.errors import ResponseError
from qprovider_core.qiskit_schema import configuration_from_document


@pytest.fixture(autouse=True)
def _on():
    assert gc.isenabled()
    yield
    assert gc.isenabled()


def test_it_rests_inside_and_goes_on_outside():
    with collector_paused:
        assert not gc.isenabled()
        with collector_paused:
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_it_goes_on_after_an_error():
    with pytest.raises(ResponseError):
        configuration_from_document({"backend_name": 7})
    assert gc.isenabled()


def test_a_user_who_switched_it_off_finds_it_off():
    gc.disable()
    try:
        with collector_paused:
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_it_goes_on_when_the_last_of_several_threads_is_done():
    inside, leave = threading.Barrier(3), threading.Event()

    def work():
        with collector_paused:
            inside.wait()
            leave.wait()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    inside.wait()
    assert not gc.isenabled()
    leave.set()
    for thread in threads:
        thread.join()
    assert gc.isenabled()
