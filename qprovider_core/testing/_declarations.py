"""What an author declares, and how a check is left out where something is declared."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, ParamSpec, TypeVar

import pytest

P = ParamSpec("P")
T = TypeVar("T")


class Declarations:
    """What a plugin's author says of it. All is supported unless declared otherwise; nothing is guessed.

    Attributes:
        plugin: Import string of the plugin (``module`` or ``module:object``); None: where the account's own is.
        backend_name: The backend to run on; None: the least busy simulator, never a device.
        noiseless_backend: A backend whose counts are exact, to run on instead; None: results are noisy, and
            `tolerance` is the share of shots that may be wrong.
        wrong_credentials: Fields of an account that the vendor refuses; None: nothing can be refused.
        run_options: The vendor's own options, passed to every `run`.
        shots: Of each circuit that is run; max_run_seconds: how long one small job may take, queue included.
        long_shots: Of a job that is caught while it runs: so many that its circuit of 60 layers, measured after each,
            takes a second or more, and few enough that nobody minds where it cannot be stopped.
        max_list_seconds: How long a listing may take; max_look_seconds: how long one look at a job;
            max_backends: how many of those listed are looked at closely.
        clock_skew_s: By how much the vendor's clock may differ from ours.

        lists_without_qiskit: Opening an account and listing import neither Qiskit nor numpy.
        supports_running: Submitting jobs at all, with their states and results.
        supports_memory: The outcome of each shot. supports_parameters: circuits with parameters.
        supports_many_circuits: Several circuits in one job; supports_shots_per_circuit: each with shots of its own.
        supports_several_registers: of one circuit.
        supports_mid_circuit, supports_conditionals, supports_reset: What a circuit may hold.
        supports_status, supports_properties, supports_defaults, supports_account_info: Facts that can be asked for.
        supports_cancel, supports_list_jobs, supports_delete, supports_details: What can be done with a job.
        supports_queue: A job waits behind a longer one, and is then told to be QUEUED.
        supports_cancel_running: A job that runs already can be stopped.
        supports_tags: A job keeps the tags it was sent with; supports_update_tags: they can be changed.
        supports_names: A job keeps its name. supports_job_times: the vendor tells when it was created.
        supports_find_submission: Jobs are found by the core's own key.
        supports_reconnecting: Jobs can be retrieved through another connection; supports_other_processes: in another
            process, too.
        supports_sessions: Sessions or batches.
    """

    plugin: ClassVar[str | None] = None
    backend_name: ClassVar[str | None] = None
    noiseless_backend: ClassVar[str | None] = None
    tolerance: ClassVar[float] = 0.5
    wrong_credentials: ClassVar[Mapping[str, Any] | None] = None
    run_options: ClassVar[Mapping[str, Any]] = {}
    shots: ClassVar[int] = 200
    long_shots: ClassVar[int] = 100_000
    max_run_seconds: ClassVar[float] = 60.0
    max_list_seconds: ClassVar[float] = 10.0
    max_look_seconds: ClassVar[float] = 5.0
    max_backends: ClassVar[int] = 20
    clock_skew_s: ClassVar[float] = 60.0

    lists_without_qiskit: ClassVar[bool] = True
    supports_running: ClassVar[bool] = True
    supports_memory: ClassVar[bool] = True
    supports_parameters: ClassVar[bool] = True
    supports_many_circuits: ClassVar[bool] = True
    supports_shots_per_circuit: ClassVar[bool] = True
    supports_several_registers: ClassVar[bool] = True
    supports_mid_circuit: ClassVar[bool] = True
    supports_conditionals: ClassVar[bool] = True
    supports_reset: ClassVar[bool] = True
    supports_status: ClassVar[bool] = True
    supports_properties: ClassVar[bool] = True
    supports_defaults: ClassVar[bool] = True
    supports_account_info: ClassVar[bool] = True
    supports_cancel: ClassVar[bool] = True
    supports_queue: ClassVar[bool] = True
    supports_cancel_running: ClassVar[bool] = True
    supports_list_jobs: ClassVar[bool] = True
    supports_delete: ClassVar[bool] = True
    supports_details: ClassVar[bool] = True
    supports_tags: ClassVar[bool] = True
    supports_update_tags: ClassVar[bool] = True
    supports_names: ClassVar[bool] = True
    supports_job_times: ClassVar[bool] = True
    supports_find_submission: ClassVar[bool] = True
    supports_reconnecting: ClassVar[bool] = True
    supports_other_processes: ClassVar[bool] = True
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
