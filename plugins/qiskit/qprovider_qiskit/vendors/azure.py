"""Azure Quantum: the QDK's simulator on this machine, and with a workspace the devices and simulators in it.

*Unverified*, since nothing was run against Azure: all of the workspace, but for its list and refused keys, which were
asked of a stub on this machine. The QDK tells Microsoft of its use, over the network; here it does so only where
`QDK_PYTHON_TELEMETRY` says that it shall.
"""

from __future__ import annotations

import os
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any

import attrs

from qprovider_core.errors import ConfigurationError, InvalidInputError
from qprovider_core.records import BackendStatus
from qprovider_core.secret import Secret
from qprovider_qiskit._adapter import QiskitAdapter
from qprovider_qiskit.vendors._declared import ADAPTED, lacking

_SEED_0 = 2**32  # in place of 0, which the QDK takes for none


@attrs.frozen(kw_only=True)
class AzureCredentials:
    """A workspace: its connection string, or its resource id. The simulator on this machine needs none of it.

    Attributes:
        tenant_id, client_id, client_secret: Of a service principal that signs in where there is no connection string;
            without them it is whoever signed in with Azure's command line.
    """

    connection_string: Secret | None = attrs.field(
        default=None,
        metadata={"help": "connection string of a workspace", "env": ("AZURE_QUANTUM_CONNECTION_STRING",)},
    )
    resource_id: str | None = attrs.field(default=None, metadata={"help": "resource id of a workspace"})
    location: str | None = attrs.field(default=None, metadata={"help": "location of the workspace, such as eastus"})
    tenant_id: str | None = attrs.field(default=None, metadata={"help": "tenant id of a service principal"})
    client_id: str | None = attrs.field(default=None, metadata={"help": "client id of a service principal"})
    client_secret: Secret | None = attrs.field(default=None, metadata={"help": "client secret of a service principal"})


def backends(credentials: AzureCredentials | None) -> list[Any]:
    if not {"QDK_PYTHON_TELEMETRY", "QSHARP_PYTHON_TELEMETRY"} & {*os.environ}:
        os.environ["QDK_PYTHON_TELEMETRY"] = "none"
    from qdk.qiskit import QSharpBackend

    # It compiles what it is given once more, and cannot run what comes of a swap on a higher level.
    found = [QSharpBackend(executor=Here(), transpile_options={"optimization_level": 0})]
    if credentials is not None and (credentials.connection_string or credentials.resource_id):
        found += _cloud(_workspace(credentials))
    return found


def _cloud(workspace: Any) -> list[Any]:
    from azure.quantum.qiskit import AzureQuantumProvider

    provider = AzureQuantumProvider(workspace)
    found: list[Any] = provider.backends()
    named = {backend.name for backend in found}
    for _, target in workspace._get_target_status():
        if target.id not in named:  # it lists those that it has no class for only by their names
            found += provider.backends(target.id)
    return found


class Here(Executor):
    """Does at once what it is given, in the thread of the adapter's queue: the process does not wait for that one."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as exc:  # noqa: BLE001  raised where the result is asked for
            done.set_exception(exc)
        return done


def _workspace(credentials: AzureCredentials) -> Any:
    from azure.identity import ClientSecretCredential, DefaultAzureCredential
    from azure.quantum import Workspace

    if credentials.connection_string is not None:
        try:
            return Workspace.from_connection_string(credentials.connection_string.reveal())
        except ValueError as exc:
            raise ConfigurationError(f"This is no connection string of a workspace: {exc}.", hint=_HELP) from exc
    principal = (credentials.tenant_id, credentials.client_id, credentials.client_secret)
    signs_in: Any = DefaultAzureCredential()  # that of the package opens a browser
    if any(principal):
        if not all(principal):
            raise ConfigurationError("A service principal needs tenant id, client id and secret.", hint=_HELP)
        signs_in = ClientSecretCredential(*(one.reveal() if isinstance(one, Secret) else one for one in principal))
    return Workspace(resource_id=credentials.resource_id, location=credentials.location, credential=signs_in)


def _on_this_machine(backend: Any) -> bool:
    return not hasattr(backend, "retrieve_job")


def _simulator(backend: Any) -> bool | None:
    if _on_this_machine(backend) or "sim" in backend.name.replace("-", ".").split("."):
        return True
    # It takes all targets that it has no class for as devices.
    told = None if type(backend).__name__ == "AzureGenericQirBackend" else backend._config.get("simulator")
    return told if isinstance(told, bool) else None


def _mend(backend: Any) -> None:
    if _on_this_machine(backend):
        backend.run = partial(_run, backend.run)
    else:
        backend.status = lambda: _status(backend)
        backend.run = partial(_sent, backend.run)


def _run(run: Any, circuits: Any, **options: Any) -> Any:
    for circuit in circuits if isinstance(circuits, list) else [circuits]:
        _check_conditions(circuit)
    if options.get("seed") == 0:
        options["seed"] = _SEED_0
    return run(circuits, **options)


def _check_conditions(circuit: Any) -> None:
    """Refuse conditions on registers: the QDK takes their first bit for the highest, and gives wrong counts."""
    from qiskit.circuit import Clbit, ControlFlowOp
    from qiskit.circuit.classical import expr

    for operation in (one.operation for one in circuit.data if isinstance(one.operation, ControlFlowOp)):
        told = getattr(operation, "condition", None) or getattr(operation, "target", None)
        if isinstance(told, expr.Expr):
            read = [variable.var for variable in expr.iter_vars(told)]
        else:
            read = [told[0] if isinstance(told, tuple) else told]
        if not all(one is None or isinstance(one, Clbit) for one in read):
            raise InvalidInputError(
                f"{circuit.name} has a condition on a register, which the QDK reads the wrong way round.",
                hint="Compare single bits, as in if_test((bit, 1)).",
            )
        for block in operation.blocks:
            _check_conditions(block)


def _sent(run: Any, circuits: Any, **options: Any) -> Any:
    return _explained(run(circuits, **options))


def _retrieved(backend: Any, job_id: str) -> Any:
    return _explained(backend.retrieve_job(job_id))


def _explained(job: Any) -> Any:
    """The job, and why it failed, which its package keeps to itself."""
    job.error_message = lambda: getattr(job._azure_job.details.error_data, "message", None)
    return job


def _status(backend: Any) -> BackendStatus | None:
    for _, target in backend.provider.get_workspace()._get_target_status(backend.name):
        word = str(getattr(target.current_availability, "value", target.current_availability))
        # A degraded one is slow, and takes jobs.
        return BackendStatus(backend_name=backend.name, operational=word != "Unavailable", status_msg=word)
    return None


_HELP = "Copy the connection string of a workspace on https://portal.azure.com (Operations, Access keys)."

# Of the simulator on this machine, which holds Python's global lock from the start of a job to its end.
CONTRACT = {
    **ADAPTED, **lacking("properties", "queue", "cancel_running"), "max_look_seconds": 60.0, "long_shots": 500,
    "noiseless_backend": "QSharpBackend",
}  # fmt: skip

plugin = QiskitAdapter(
    backends, name="azure", title="Azure Quantum", simulator=_simulator,
    noisy=lambda backend: False if _on_this_machine(backend) else None, local=_on_this_machine, fixup=_mend,
    retrieve=_retrieved, job_status=lambda job: job._azure_job.details.status,
    run_options=["seed"], requires=["azure-quantum[qiskit]>=3.13,<4", "qdk[qiskit]>=1.33,<2"],
    credentials=AzureCredentials, credentials_help=_HELP, contract=f"{__name__}:CONTRACT",
)  # fmt: skip
