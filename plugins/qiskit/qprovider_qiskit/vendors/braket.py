"""Amazon Braket: its simulators on this machine, and with an account of AWS its simulators and devices there.

*Unverified*, since nothing was run against AWS: all of that, but for refused keys, which a stub on this machine
refused. Two things of the package are mended there: it does not know the state of a task that was only just created,
and it fetches tasks with the credentials of the environment, whatever the account's are. Opening asks every region for
its devices.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import attrs

from qprovider_core.errors import ConfigurationError
from qprovider_core.secret import Secret
from qprovider_qiskit._adapter import QiskitAdapter
from qprovider_qiskit.vendors._declared import ADAPTED, STATIC, lacking

# On more than ten qubits its simulators on this machine fail after any of them (amazon-braket-default-simulator 1.41).
_BROKEN = frozenset({"c3sx", "ccz", "ch", "crx", "cry", "crz", "cs", "csdg", "csx"})
# Of a job of several tasks the first of these that one of them has.
_STATES = ("CREATED", "QUEUED", "RUNNING", "CANCELLING", "FAILED", "CANCELLED", "COMPLETED")


@attrs.frozen(kw_only=True)
class BraketCredentials:
    """An account of AWS: a profile of its command line, or a key. Simulators on this machine need none of it."""

    profile: str | None = attrs.field(default=None, metadata={"help": "profile of the AWS command line"})
    region: str | None = attrs.field(default=None, metadata={"help": "AWS region, such as us-east-1"})
    access_key_id: str | None = attrs.field(default=None, metadata={"help": "AWS access key id"})
    secret_access_key: Secret | None = attrs.field(default=None, metadata={"help": "AWS secret access key"})
    session_token: Secret | None = attrs.field(default=None, metadata={"help": "AWS session token, of temporary keys"})
    bucket: str | None = attrs.field(default=None, metadata={"help": "S3 bucket for results"})


def backends(credentials: BraketCredentials | None) -> list[Any]:
    from qiskit_braket_provider import BraketProvider

    found: list[Any] = BraketProvider().backends(local=True)
    if credentials is not None and (credentials.profile or credentials.region or credentials.access_key_id):
        found += BraketProvider().backends(aws_session=_session(credentials))
    return found


def _session(credentials: BraketCredentials) -> Any:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError
    from braket.aws import AwsSession

    secret, token = credentials.secret_access_key, credentials.session_token
    try:
        boto = boto3.Session(
            profile_name=credentials.profile,
            region_name=credentials.region,
            aws_access_key_id=credentials.access_key_id,
            aws_secret_access_key=secret and secret.reveal(),
            aws_session_token=token and token.reveal(),
        )
    except BotoCoreError as exc:  # no such profile, or half a key
        raise ConfigurationError(f"{str(exc).rstrip('.')}.", hint=_HELP) from exc
    if boto.region_name is None or boto.get_credentials() is None:
        missing = "region" if boto.region_name is None else "access key"
        raise ConfigurationError(f"Amazon Braket needs an AWS {missing}, and there is none.", hint=_HELP)
    config = Config(connect_timeout=10, read_timeout=30, retries={"max_attempts": 2})
    session = AwsSession(boto, config=config, default_bucket=credentials.bucket)
    session.search_devices()  # raises where the key is refused; looking for devices only warns
    return session


def _on_this_machine(backend: Any) -> bool:
    return not hasattr(backend, "queue_depth")


def _simulator(backend: Any) -> bool:
    return _on_this_machine(backend) or backend._device.type.value == "SIMULATOR"


def _mend(backend: Any) -> None:
    backend.max_shots = backend._device.properties.service.shotsRange[1]
    if _on_this_machine(backend):
        backend._target = _whole(backend.target)
    else:
        backend.status = partial(_status, backend._device)
        backend.num_pending_jobs = partial(_waiting, backend._device)
        backend.run = partial(_sent, backend.run)


def _whole(target: Any) -> Any:
    """The target without what cannot be relied on; compiling makes other gates of it."""
    from qiskit.transpiler import Target

    made = Target(num_qubits=target.num_qubits, description=target.description)
    for name in target.operation_names:
        if name not in _BROKEN:
            made.add_instruction(target.operation_from_name(name), name=name)
    return made


def _status(device: Any) -> str:
    device.refresh_metadata()
    return "unavailable" if device.status == "ONLINE" and not device.is_available else str(device.status)


def _waiting(device: Any) -> int | None:
    told = [str(number) for number in device.queue_depth().quantum_tasks.values()]
    return sum(map(int, told)) if all(number.isdecimal() for number in told) else None  # else it is ">4000"


def _sent(run: Any, circuits: Any, **options: Any) -> Any:
    return _mended(run(circuits, **options))


def _retrieved(backend: Any, job_id: str) -> Any:
    from braket.aws import AwsQuantumTask
    from qiskit_braket_provider import BraketQuantumTask

    tasks: Any = [AwsQuantumTask(arn, backend._device.aws_session) for arn in job_id.split(";")]
    if "programCount" in tasks[0].metadata().get("actionMetadata", {}):
        [tasks] = tasks  # one task of several circuits; the package tells it from a list of one
    return _mended(BraketQuantumTask(job_id, backend, tasks))


def _mended(job: Any) -> Any:
    tasks = job._tasks if isinstance(job._tasks, list) else [job._tasks]
    job.status = lambda: min((task.state() for task in tasks), key=_place)
    job.error_message = lambda: "; ".join(filter(None, (task.metadata().get("failureReason") for task in tasks)))
    return job


def _place(state: str) -> int:
    return _STATES.index(state) if state in _STATES else -1


_HELP = "Make an access key in the AWS console (IAM, Users, Security credentials), or a profile with `aws configure`."

# Of the simulators on this machine.
CONTRACT = {**ADAPTED, **STATIC, **lacking("properties"), "noiseless_backend": "braket_sv"}

plugin = QiskitAdapter(
    backends, name="braket", title="Amazon Braket", simulator=_simulator,
    noisy=lambda backend: False if _on_this_machine(backend) else None, local=_on_this_machine, fixup=_mend,
    retrieve=_retrieved, run_options=["verbatim", "native"], requires=["qiskit-braket-provider>=0.27,<1"],
    credentials=BraketCredentials, credentials_help=_HELP, contract=f"{__name__}:CONTRACT",
)  # fmt: skip
