"""What all checks share: the backend, circuits that are run, jobs that are watched."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any

import pytest
from qiskit import QuantumCircuit, transpile

from qprovider_core._account import Account
from qprovider_core._backend import Backend
from qprovider_core._credential_fields import GivenFields
from qprovider_core._job import Job
from qprovider_core.credentials import ResolvedAccount, resolve_account
from qprovider_core.errors import NoMatchingBackendError, QProviderError
from qprovider_core.records import BackendInfo, Deadline, JobInfo, JobState
from qprovider_core.testing import circuits as known
from qprovider_core.testing._declarations import HOOKS_OF, Declarations, needs

__all__ = ["HOOKS_OF", "ContractBase", "Declarations", "explained", "needs", "round_trip"]

_ATTEMPTS = 3  # at catching a job in a state that it soon leaves
RANKS: Mapping[JobState, int] = {
    JobState.INITIALIZING: 0,
    JobState.VALIDATING: 1,  # vendors validate before or after they queue
    JobState.QUEUED: 1,
    JobState.RUNNING: 2,
    JobState.CANCELLED: 3,
    JobState.DONE: 3,
    JobState.ERROR: 3,
}
"""States of a job whose plugin knows its vendor's words, and which come after which."""


class ContractBase(Declarations):
    """Fixtures and helpers of the checks. The author adds a fixture `account`: an opened account at the vendor."""

    @pytest.fixture
    def backend(self, account: Account) -> Backend:
        """What circuits are run on."""
        name = self.noiseless_backend or self.backend_name
        try:
            found: Backend = account.get_backend(name) if name else account.least_busy(simulator=True)
        except NoMatchingBackendError as exc:
            pytest.fail(
                f"No simulator to run on, and jobs are not sent to a device unasked: {exc}\n"
                "Declare `backend_name`, or `noiseless_backend` for one whose counts are exact."
            )
        return found

    @pytest.fixture(autouse=True)
    def _jobs_are_noted_elsewhere(
        self, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The jobs of the checks are not the user's: they are written down in a directory that is thrown away."""
        monkeypatch.setenv("QPROVIDER_DATA_DIR", str(tmp_path_factory.mktemp("data")))
        monkeypatch.delenv("QPROVIDER_LEDGER", raising=False)

    @pytest.fixture(autouse=True)
    def _nothing_is_left_running(self) -> Iterator[None]:
        """Long jobs of a check, and silent servers, end with it."""
        yield
        self.stop(*self._long_jobs)
        for listener in self._silent:
            listener.close()

    @cached_property
    def _long_jobs(self) -> list[Job]:
        return []

    @cached_property
    def _silent(self) -> list[socket.socket]:
        return []

    # -- for authors to override --------------------------------------------------------------------------

    def compile(self, circuits: Sequence[QuantumCircuit], backend: Backend, level: int = 1) -> list[QuantumCircuit]:
        """The circuits in the backend's instruction set. Override it where the vendor needs a step of its own."""
        compiled: list[QuantumCircuit] = transpile(list(circuits), backend, optimization_level=level, seed_transpiler=7)
        return compiled

    def long_job(self, backend: Backend) -> Job:
        """A job that runs for some seconds, to be caught while it does. Override it where the vendor has a way to make
        one that is cheaper, or where this one runs too short or too long."""
        circuit = known.long(backend.num_qubits, mid_circuit=self.supports_mid_circuit)
        return self.submit(backend, circuit, shots=min(backend.max_shots or self.long_shots, self.long_shots))

    def queued_job(self, backend: Backend) -> Job:
        """A job that waits. Override it where the vendor has a way to hold one in its queue."""
        self._long_jobs.append(self.long_job(backend))  # what it waits behind
        return self.long_job(backend)

    def job_with_status(self, account: Account, word: str) -> JobInfo | None:
        """What `qprovider_get_job` tells of a job whose vendor calls its status `word`, which no vendor does. None:
        such a job cannot be made, which is the default. Override it where the service of the tests obeys."""
        return None

    def silent_account(self, account: Account) -> Account | None:
        """An account whose vendor takes connections and never answers; `unopened` and `silent_address` help to make it.
        None: it cannot be made, which is the default."""
        return None

    # -- helpers ------------------------------------------------------------------------------------------

    @property
    def exact(self) -> bool:
        return self.noiseless_backend is not None

    def submit(self, backend: Backend, circuits: QuantumCircuit | Sequence[QuantumCircuit], **options: Any) -> Job:
        """Compile and submit; a single circuit as such, several as a list."""
        given = {"shots": self.shots, **self.run_options, **options}
        if isinstance(circuits, QuantumCircuit):
            return backend.run(self.compile([circuits], backend)[0], **given)
        return backend.run(self.compile(circuits, backend), **given)

    def counts(self, backend: Backend, circuits: QuantumCircuit | Sequence[QuantumCircuit], **options: Any) -> Any:
        """Counts of a circuit; of several, the list of their counts."""
        result = self.submit(backend, circuits, **options).result(timeout=self.max_run_seconds)
        if isinstance(circuits, QuantumCircuit):
            return result.get_counts()
        return [result.get_counts(index) for index in range(len(result.results))]

    def counts_of(self, backend: Backend, ready: QuantumCircuit, **options: Any) -> Any:
        """Counts of one circuit that is compiled already."""
        given = {"shots": self.shots, **self.run_options, **options}
        return backend.run(ready, **given).result(timeout=self.max_run_seconds).get_counts()

    def finished(self, backend: Backend, circuit: QuantumCircuit | None = None, **options: Any) -> Job:
        """A small job that is done."""
        job = self.submit(backend, circuit or known.number(1, 1)[0], **options)
        job.result(timeout=self.max_run_seconds)
        return job

    def expect(self, counts: Mapping[str, int], expected: str, what: str) -> None:
        """One outcome only, or mostly on a noisy backend."""
        total = sum(counts.values())
        hits = counts.get(expected, 0)
        least = total if self.exact else (1 - self.tolerance) * total
        likeliest = max(counts, key=lambda key: counts[key], default="")
        message = (
            f"{what}: expected {expected!r} in {'all' if self.exact else f'at least {least:g}'} of {total} shots, "
            f"got {dict(sorted(counts.items(), key=lambda item: -item[1])[:6])}. {_diagnosis(expected, likeliest)}"
        )
        assert likeliest == expected, message
        assert hits >= least, message

    def listed(self, account: Account) -> tuple[BackendInfo, ...]:
        """The plugin's own list, before the core leaves anything out."""
        return account.facts.listing(Deadline.after(self.max_list_seconds), refresh=True)[0].value

    def handles(self, account: Account) -> list[Backend]:
        """Handles of the listed backends, as many as are looked at closely."""
        return list(account.backends())[: self.max_backends]

    def another(self, account: Account) -> Account:
        """The same account with a connection of its own; close it after use."""
        resolved = ResolvedAccount(ref=account.ref, credentials=account._credentials, source=account.source)
        return Account(account._vendor, resolved)

    def unopened(self, account: Account, **fields: Any) -> Account:
        """An account of the same vendor with these fields, which is opened when it is first asked for something."""
        return Account(account._vendor, resolve_account(account.spec, fields=GivenFields(fields)))

    def silent_address(self) -> str:
        """``127.0.0.1:PORT``, where connections are taken and nothing is ever answered, until the check has ended."""
        self._silent.append(socket.create_server(("127.0.0.1", 0), backlog=64))  # the kernel takes them
        return f"127.0.0.1:{self._silent[-1].getsockname()[1]}"

    # -- jobs that are watched ----------------------------------------------------------------------------

    def look(self, account: Account, job: Job, **options: Any) -> JobInfo:
        """What the plugin tells of the job now, past all that the core knows of it."""
        info = account.ask("qprovider_get_job", job=job.ref, **options)
        assert isinstance(info, JobInfo), f"qprovider_get_job of job {job.job_id()} answers {info!r}"
        return info

    def watch(self, account: Account, job: Job, until: Callable[[JobState], bool] | None = None) -> list[JobInfo]:
        """What the plugin told of the job from its submission to its end, or until it was in such a state."""
        seen: list[JobInfo] = [job.info]
        end = time.monotonic() + self.max_run_seconds
        while not seen[-1].state.final and not (until and len(seen) > 1 and until(seen[-1].state)):
            if time.monotonic() > end:
                pytest.fail(
                    f"after {self.max_run_seconds:g} s the job is still {seen[-1].state.name}; a queue that takes "
                    "longer is declared with max_run_seconds"
                )
            if len(seen) > 1:
                time.sleep(min(account.spec.min_poll_s, 1.0))
            seen.append(self.look(account, job))
        return seen

    def caught(self, account: Account, backend: Backend, make: str, state: JobState, declare: str) -> Job:
        """A job that its vendor tells to be in this state just now.

        Args:
            make: Name of the method that makes it; declare: what to declare where there can be none.
        """
        shown: list[str] = []
        for _ in range(_ATTEMPTS):
            job: Job = getattr(self, make)(backend)
            self._long_jobs.append(job)
            seen = [info.state for info in self.watch(account, job, lambda now: RANKS.get(now, 0) >= RANKS[state])]
            if seen[-1] is state:
                return job
            shown.append(" → ".join(dict.fromkeys(one.name for one in seen)))
            self.stop(*self._long_jobs)
        pytest.fail(
            f"{_ATTEMPTS} jobs were sent, and none of them was told to be {state.name}: they went {'; '.join(shown)}. "
            f"If the vendor has such jobs, override {make} to make one; else declare {declare} = False"
        )

    def stop(self, *jobs: Job) -> None:
        """End jobs that are not wanted any more: cancelled where the vendor can, else waited for."""
        for job in jobs:
            with suppress(QProviderError):  # a check that needs more of it says so itself
                if self.supports_cancel and not job.refresh().state.final:
                    job.cancel()
                job.wait_for_final_state(timeout=self.max_run_seconds)


def explained(exc: BaseException) -> None:
    """An error for people: what happened in one line, and why or what to do."""
    assert isinstance(exc, QProviderError), f"{exc!r} is no QProviderError, so callers cannot expect it"
    assert exc.what.strip(), f"{type(exc).__name__} does not say what happened"
    assert "\n" not in exc.what, f"what happened takes more than one line: {exc.what!r}"
    assert exc.why or exc.hint, f"{type(exc).__name__} says neither why nor what to do next: {exc.what!r}"


def round_trip(record: Any, what: str) -> None:
    """JSON and back gives an equal record."""
    try:
        text = json.dumps(record.to_dict(), allow_nan=False)
    except (TypeError, ValueError) as exc:
        pytest.fail(f"{what} is not JSON ({exc}): {record!r}. Values must be numbers, texts, lists or mappings.")
    try:
        back = type(record).from_dict(json.loads(text))
    except QProviderError as exc:
        pytest.fail(f"{what} cannot be read again from its own JSON: {exc}")
    assert back == record, (
        f"{what} is not the same after JSON and back (a tuple inside free-form data becomes a list): "
        f"{record!r} became {back!r}"
    )


def _diagnosis(expected: str, got: str) -> str:
    """What kind of mix-up an outcome looks like."""
    plain, other = expected.replace(" ", ""), got.replace(" ", "")
    if got == expected:
        return "The outcome is right, but too many shots are wrong; declare `tolerance` if that is the device's noise."
    if other == plain:
        return "The spaces between the registers are missing or misplaced: send the registers, or counts with spaces."
    if other == plain[::-1]:
        return "The bits are in reverse order: bit 0 of a register is rightmost, the last register leftmost."
    if other == "".join(reversed(expected.split(" "))):
        return "The registers are in reverse order: the last one is leftmost."
    if other and other.lstrip("0") == plain.lstrip("0"):
        return "Leading zeros were lost."
    if sorted(other) == sorted(plain):
        return "The right number of ones in the wrong places: is a qubit's number taken for a bit's?"
    return "Bit 0 of a register is rightmost, the last register leftmost, a space between registers."
