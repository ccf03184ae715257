"""Many processes at once, and processes that are killed: the accounts file stays whole."""

import json
import random
import subprocess
import sys
import threading
import time

import pytest

from qprovider_core.credentials import AccountStore
from qprovider_core.records import ProviderSpec, TokenCredentials

pytestmark = pytest.mark.slow  # left to `make check`

ACME = ProviderSpec(name="acme", title="Acme", credentials=TokenCredentials)
WRITERS, SAVES, KILLS = 8, 50, 25

PREAMBLE = """
import sys
from qprovider_core.credentials import AccountStore
from qprovider_core.records import ProviderSpec, TokenCredentials
acme = ProviderSpec(name="acme", title="Acme", credentials=TokenCredentials)
store = AccountStore()
who = sys.argv[1]
print("ready", flush=True)
sys.stdin.readline()
"""
SAVE_FIFTY = (
    PREAMBLE
    + """
for turn in range(int(sys.argv[2])):
    store.save(acme, f"{who}-{turn}", {"token": f"token-{who}-{turn}"})
"""
)
SAVE_FOR_EVER = (
    PREAMBLE
    + """
turn = 0
while True:
    store.save(acme, "changing", {"token": f"token-{who}-{turn}-" + "x" * 20_000}, overwrite=True)
    turn += 1
"""
)


@pytest.fixture
def store(monkeypatch, tmp_path):
    monkeypatch.setenv("QPROVIDER_CONFIG_DIR", str(tmp_path / "config"))
    return AccountStore()


def start(code: str, *args: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, args)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_eight_processes_making_fifty_saves_each_keep_all_of_them(store):
    writers = [start(SAVE_FIFTY, who, SAVES) for who in range(WRITERS)]
    try:
        for writer in writers:
            assert writer.stdout.readline() == "ready\n"
        for writer in writers:
            writer.stdin.write("go\n")
            writer.stdin.flush()
        answers = [writer.communicate(timeout=120) for writer in writers]
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()
    assert [(writer.returncode, err) for writer, (_, err) in zip(writers, answers, strict=True)] == [(0, "")] * WRITERS
    assert {account.name: account.fields["token"].reveal() for account in store.accounts()} == {
        f"{who}-{turn}": f"token-{who}-{turn}" for who in range(WRITERS) for turn in range(SAVES)
    }
    assert sum(account.is_default for account in store.accounts()) == 1


def test_threads_of_one_process_keep_all_entries_too(store):
    def save(who: int) -> None:
        for turn in range(10):
            AccountStore().save(ACME, f"{who}-{turn}", {"token": f"token-{who}-{turn}"})

    threads = [threading.Thread(target=save, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(store.accounts()) == 40


def test_killing_a_writer_at_any_moment_never_damages_the_file(store):
    store.save(ACME, "steady", {"token": "steady-token"})
    rng = random.Random(20260301)
    seen = set()
    for life in range(KILLS):
        writer = start(SAVE_FOR_EVER, life)
        try:
            assert writer.stdout.readline() == "ready\n"
            writer.stdin.write("go\n")
            writer.stdin.flush()
            deadline = time.monotonic() + 20
            while f"token-{life}-" not in store.path.read_text() and time.monotonic() < deadline:
                time.sleep(0.001)  # its first save imports; the moment of the kill shall hit the later ones
            time.sleep(rng.uniform(0, 0.02))
        finally:
            writer.kill()
            writer.communicate()
        for path in (store.path, store.path.with_name("accounts.json.bak")):
            document = json.loads(path.read_text())
            accounts = document["accounts"]["acme"]
            assert accounts["steady"] == {"secrets": {"token": "steady-token"}}
            token = accounts["changing"]["secrets"]["token"]
            assert token.startswith(f"token-{life}-")
            assert len(token) == len(token.rstrip("x")) + 20_000
            seen.add(token)
        names = {account.name: account.is_default for account in store.accounts()}
        assert names == {"steady": True, "changing": False}
    assert len(seen) >= KILLS
    store.save(ACME, "after", {"token": "after-token"})  # no lock is left behind
    assert len(store.accounts()) == 3
