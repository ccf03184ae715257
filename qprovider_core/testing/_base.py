"""What an author declares, and what all checks share."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, ParamSpec, TypeVar

import pytest
from qiskit import QuantumCircuit, transpile

from qprovider_core._account import Account
from qprovider_core._backend import Backend
from qprovider_core._job import Job
from qprovider_core.credentials import ResolvedAccount
from qprovider_core.errors import NoMatchingBackendError, QProviderError
from qprovider_core.records import BackendInfo, Deadline

P = ParamSpec("P")
T = TypeVar("T")


class Declarations:
    """What a plugin's author says of it. All is supported unless declared otherwise; nothing is guessed.

    Attributes:
        plugin: Import string of the plugin (``module`` or ``module:object``); None: where the account's own is.
        backend_name: The backend to run on; None: the least busy one.
        noiseless_backend: A backend whose counts are exact, to run on instead; None: results are noisy, and
            `tolerance` is the share of shots that may be wrong.
        wrong_credentials: Fields of an account that the vendor refuses; None: nothing can be refused.
        run_options: The vendor's own options, passed to every `run`.
        shots: Of each circuit that is run; max_run_seconds: how long one small job may take, queue included.
        max_list_seconds: How long a listing may take; max_backends: how many of those listed are looked at closely.
        clock_skew_s: By how much the vendor's clock may differ from ours.

        supports_running: Submitting jobs at all, with their states and results.
        supports_memory: The outcome of each shot. supports_parameters: circuits with parameters.
        supports_many_circuits: Several circuits in one job. supports_several_registers: of one circuit.
        supports_mid_circuit, supports_conditionals, supports_reset: What a circuit may hold.
        supports_status, supports_properties, supports_defaults, supports_account_info: Facts that can be asked for.
        supports_cancel, supports_list_jobs, supports_delete, supports_details: What can be done with a job.
        supports_tags: A job keeps the tags it was sent with; supports_update_tags: they can be changed.
        supports_names: A job keeps its name. supports_job_times: the vendor tells when it was created.
        supports_find_submission: Jobs are found by the core's own key.
        supports_reconnecting: Jobs can be retrieved through another connection.
        supports_sessions: Sessions or batches.
    """

    plugin: ClassVar[str | None] = None
    backend_name: ClassVar[str | None] = None
    noiseless_backend: ClassVar[str | None] = None
    tolerance: ClassVar[float] = 0.5
    wrong_credentials: ClassVar[Mapping[str, Any] | None] = None
    run_options: ClassVar[Mapping[str, Any]] = {}
    shots: ClassVar[int] = 200
    max_run_seconds: ClassVar[float] = 60.0
    max_list_seconds: ClassVar[float] = 10.0
    max_backends: ClassVar[int] = 20
    clock_skew_s: ClassVar[float] = 60.0

    supports_running: ClassVar[bool] = True
    supports_memory: ClassVar[bool] = True
    supports_parameters: ClassVar[bool] = True
    supports_many_circuits: ClassVar[bool] = True
    supports_several_registers: ClassVar[bool] = True
    supports_mid_circuit: ClassVar[bool] = True
    supports_conditionals: ClassVar[bool] = True
    supports_reset: ClassVar[bool] = True
    supports_status: ClassVar[bool] = True
    supports_properties: ClassVar[bool] = True
    supports_defaults: ClassVar[bool] = True
    supports_account_info: ClassVar[bool] = True
    supports_cancel: ClassVar[bool] = True
    supports_list_jobs: ClassVar[bool] = True
    supports_delete: ClassVar[bool] = True
    supports_details: ClassVar[bool] = True
    supports_tags: ClassVar[bool] = True
    supports_update_tags: ClassVar[bool] = True
    supports_names: ClassVar[bool] = True
    supports_job_times: ClassVar[bool] = True
    supports_find_submission: ClassVar[bool] = True
    supports_reconnecting: ClassVar[bool] = True
    supports_sessions: ClassVar[bool] = True


# The hooks behind those capabilities that a plugin has or has not.
HOOKS_OF: Mapping[str, tuple[str, ...]] = {
    "supports_running": ("qprovider_submit_job", "qprovider_get_job", "qprovider_job_result"),
    "supports_status": ("qprovider_backend_status",),
    "supports_properties": ("qprovider_backend_properties",),
    "supports_defaults": ("qprovider_backend_defaults",),
    "supports_account_info": ("qprovider_account_info",),
    "supports_cancel": ("qprovider_cancel_job",),
    "supports_list_jobs": ("qprovider_list_jobs",),
    "supports_delete": ("qprovider_delete_job",),
    "supports_details": ("qprovider_job_details",),
    "supports_update_tags": ("qprovider_update_job_tags",),
    "supports_find_submission": ("qprovider_find_submission",),
    "supports_sessions": (
        "qprovider_open_session",
        "qprovider_close_session",
        "qprovider_session_details",
    ),
}


def needs(*capabilities: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """A check that is only made where these capabilities are declared."""

    def decorate(check: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(check)
        def checked(*args: P.args, **kwargs: P.kwargs) -> T:
            missing = [name for name in capabilities if not getattr(args[0], name)]
            if missing:
                pytest.skip(f"declared: {', '.join(f'{name} = False' for name in missing)}")
            return check(*args, **kwargs)

        return checked

    return decorate


class ContractBase(Declarations):
    """Fixtures and helpers of the checks. The author adds a fixture `account`: an opened account at the vendor."""

    @pytest.fixture
    def backend(self, account: Account) -> Backend:
        """What circuits are run on."""
        name = self.noiseless_backend or self.backend_name
        try:
            found: Backend = account.get_backend(name) if name else account.least_busy()
        except NoMatchingBackendError as exc:
            pytest.fail(f"No backend to run on: {exc}\nDeclare `backend_name` if one can be used anyway.")
        return found

    # -- for authors to override --------------------------------------------------------------------------

    def compile(self, circuits: Sequence[QuantumCircuit], backend: Backend, level: int = 1) -> list[QuantumCircuit]:
        """The circuits in the backend's instruction set. Override it where the vendor needs a step of its own."""
        compiled: list[QuantumCircuit] = transpile(list(circuits), backend, optimization_level=level, seed_transpiler=7)
        return compiled

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

    def finished(self, backend: Backend, circuit: QuantumCircuit | None = None, **options: Any) -> Job:
        """A small job that is done."""
        from qprovider_core.testing.circuits import number  # late: keeps this module's import order plain

        job = self.submit(backend, circuit or number(1, 1)[0], **options)
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
        return account.fetch_list(Deadline.after(self.max_list_seconds))

    def handles(self, account: Account) -> list[Backend]:
        """Handles of the listed backends, as many as are looked at closely."""
        return list(account.backends())[: self.max_backends]

    def another(self, account: Account) -> Account:
        """The same account with a connection of its own; close it after use."""
        resolved = ResolvedAccount(ref=account.ref, credentials=account._credentials, source=account.source)
        return Account(account._vendor, resolved)


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
    back = type(record).from_dict(json.loads(text))
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
    if got == " ".join(reversed(expected.split(" "))):
        return "The registers are in reverse order: the last one is leftmost."
    if other and other.lstrip("0") == plain.lstrip("0"):
        return "Leading zeros were lost."
    if sorted(other) == sorted(plain):
        return "The right number of ones in the wrong places: is a qubit's number taken for a bit's?"
    return "Bit 0 of a register is rightmost, the last register leftmost, a space between registers."
