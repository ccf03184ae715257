"""Accounts that are half there: what is missing is named, and what is passed over is said once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from qprovider_core.errors import InvalidInputError, NoAccountError
from qprovider_ibm import IBMProvider

OLD_ENTRY = {
    "channel": "ibm_quantum",
    "token": "0123456789abcdef" * 8,
    "url": "https://auth.quantum-computing.ibm.com/api",
    "instance": "ibm-q/open/main",
    "is_default_account": True,
}


def write(home: Any, **entries: Any) -> None:
    (home / ".qiskit").mkdir(exist_ok=True)
    (home / ".qiskit" / "qiskit-ibm.json").write_text(json.dumps(entries))


def test_an_instance_without_a_default_account_asks_which_account(emulator):
    IBMProvider.save_account(emulator.api_key, name="work")
    IBMProvider.save_account(emulator.api_keys[1], name="home")
    IBMProvider.save_account(emulator.api_key, name="third", set_as_default=True)
    IBMProvider.delete_account("third")
    with pytest.raises(NoAccountError, match="several accounts, and none is the default") as caught:
        IBMProvider(instance="open-main")
    assert "'home', 'work'" in str(caught.value)


def test_after_the_default_is_deleted_the_account_called_default_is_used_again(emulator):
    IBMProvider.save_account(emulator.api_key)
    IBMProvider.save_account(emulator.api_keys[1], name="other")
    IBMProvider.save_account(emulator.api_keys[1], name="two", set_as_default=True)
    assert list(IBMProvider.saved_accounts(default=True)) == ["two"]
    IBMProvider.delete_account("two")
    with IBMProvider() as provider:
        assert provider.active_account()["name"] == "default"


def test_an_instance_with_only_accounts_of_the_retired_service_says_what_they_are(home):
    write(home, **{"default-ibm-quantum": OLD_ENTRY})
    with pytest.raises(NoAccountError, match="retired IBM Quantum service") as caught:
        IBMProvider(instance="open-main")
    assert "'default-ibm-quantum'" in str(caught.value)


def test_an_instance_without_any_account_names_the_key_that_is_missing(home):
    with pytest.raises(NoAccountError, match="needs the field 'token'"):
        IBMProvider(instance="open-main")


def test_a_file_of_the_oldest_client_is_named_where_there_is_nothing_else(home):
    (home / ".qiskit").mkdir()
    (home / ".qiskit" / "qiskitrc").write_text(f"[ibmq]\ntoken = {OLD_ENTRY['token']}\n")
    with pytest.raises(NoAccountError, match="~/.qiskit/qiskitrc: it belongs to the retired") as caught:
        IBMProvider()
    assert "Create an API key" in str(caught.value)
    assert OLD_ENTRY["token"] not in str(caught.value)
    assert IBMProvider.saved_accounts() == {}


def test_another_account_than_the_retired_default_is_not_used_without_a_word(emulator, home, caplog):
    sound = {"channel": "ibm_cloud", "token": emulator.api_key}
    write(home, **{"default-ibm-quantum": OLD_ENTRY, "work": sound})
    with IBMProvider() as provider:
        assert provider.active_account()["name"] == "work"
    (note,) = [record.getMessage() for record in caplog.records if "default-ibm-quantum" in record.getMessage()]
    assert "'work' is used in its place" in note
    assert OLD_ENTRY["token"] not in note
    caplog.clear()
    with IBMProvider(name="work"):
        assert caplog.text == ""  # it was asked for


@pytest.mark.parametrize("endpoints", ["http://127.0.0.1:1", 5, ["api"]])
def test_endpoints_that_are_no_mapping_are_refused(emulator, endpoints):
    with pytest.raises(InvalidInputError, match="endpoints maps a service to its address"):
        IBMProvider(emulator.api_key, endpoints=endpoints)
