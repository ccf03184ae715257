"""Alpine Quantum Technologies: their offline simulators, their cloud ARNICA, and devices with direct access.

*Unverified*, since nothing was run against AQT's services: all of the cloud and of direct access. The cloud's package
keeps the token of whoever signed in last in the home directory, where another account would find it, so it is given
one of its own. A job with direct access is only sent on when its result is asked for: this process waits for it.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from qprovider_core.errors import AuthenticationError, ConfigurationError
from qprovider_core.secret import Secret
from qprovider_qiskit._adapter import QiskitAdapter
from qprovider_qiskit._reading import attempted
from qprovider_qiskit.vendors._declared import ADAPTED_AER, STATIC, lacking

_RENEW_S = 60.0  # before a token ends


@attrs.frozen(kw_only=True)
class AQTCredentials:
    """An account of AQT: of the cloud, of a device with direct access, or of both. Simulators here need none of it."""

    client_id: str | None = attrs.field(default=None, metadata={"help": "client id for the cloud"})
    client_secret: Secret | None = attrs.field(default=None, metadata={"help": "client secret for the cloud"})
    workspace: str | None = attrs.field(default=None, metadata={"help": "only this workspace of the cloud"})
    url: str = attrs.field(default="https://arnica.aqt.eu/api", metadata={"help": "address of the cloud"})
    direct_url: str | None = attrs.field(default=None, metadata={"help": "address of a device with direct access"})
    direct_token: Secret | None = attrs.field(default=None, metadata={"help": "token for that device"})


class Opened:
    """The backends of one account, until it is closed."""

    def __init__(self, backends: list[Any], resources: ExitStack) -> None:
        self._backends = backends
        self._resources = resources

    def backends(self) -> list[Any]:
        return self._backends

    def close(self) -> None:
        self._resources.close()


def backends(credentials: AQTCredentials | None) -> Opened:
    from qiskit_aqt_provider import AQTProvider

    with ExitStack() as stack:
        provider = stack.enter_context(AQTProvider())
        found = [provider.offline.ideal(), provider.offline.noisy()]
        if credentials is not None and (credentials.client_id or credentials.client_secret):
            found += _cloud(provider, credentials)
        if credentials is not None and credentials.direct_url:
            token = credentials.direct_token.reveal() if credentials.direct_token else ""
            found.append(provider.direct_access().get_resource(credentials.direct_url, token))
        return Opened(found, stack.pop_all())


def _cloud(provider: Any, credentials: AQTCredentials) -> Iterator[Any]:
    from aqt_connector import ArnicaConfig

    if not credentials.client_id or not credentials.client_secret:
        raise ConfigurationError("AQT's cloud needs a client id and a client secret.", hint=_HELP)
    import tempfile  # late: opening only

    with tempfile.TemporaryDirectory() as empty:  # where it looks for a configuration, and for tokens
        config = ArnicaConfig(Path(empty))
        config.arnica_url = credentials.url
        config.client_id = credentials.client_id
        config.client_secret = credentials.client_secret.reveal()
        config.store_access_token = False
        cloud = provider.cloud(config)
    sign_in = SignIn(cloud._arnica, config.client_id, config.client_secret)
    cloud._arnica.auth_service = sign_in
    cloud._http_client.auth = sign_in
    for workspace in cloud.fetch_workspaces():
        if credentials.workspace in (None, workspace.id):
            for resource in workspace.list_backends():
                backend = workspace.get_backend(resource.id)
                backend._simulator = resource.type.value == "simulator"
                backend.description = resource.name
                yield backend


class SignIn:
    """Takes the place of the package's own `AuthService`, and signs its requests: its token stays in this process."""

    def __init__(self, app: Any, client_id: str, client_secret: str) -> None:
        self._app = app
        self._client = (client_id, client_secret)
        self._token = ""
        self._until = 0.0
        self._lock = threading.Lock()

    def get_or_refresh_access_token(self, store: bool = False) -> str:
        with self._lock:
            if time.time() > self._until - _RENEW_S:
                try:
                    self._token = self._app.oidc_service.authenticate_with_client_credentials(self._client)
                except PermissionError as exc:  # without any word, whatever the reason
                    raise AuthenticationError("AQT refused the client id and its secret.", hint=_HELP) from exc
                self._until = _end_of(self._token)
            return self._token

    def __call__(self, request: Any) -> Any:
        request.headers["Authorization"] = f"Bearer {self.get_or_refresh_access_token()}"
        return request


def _end_of(token: str) -> float:
    """When a token ends, in seconds since 1970. That it is genuine was seen by whoever fetched it."""
    payload = token.split(".")[1]
    return float(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"])


def _in_this_process(backend: Any) -> bool:
    return not hasattr(backend, "workspace_id")


def _offline(backend: Any) -> bool | None:
    return True if hasattr(backend, "simulator") else None  # an Aer simulator of its own


def _mend(backend: Any) -> None:
    """What it does not say of itself: how many shots it takes, that it gives a memory, how it stands."""
    backend.max_shots = backend.MAX_SHOTS
    backend.run = partial(backend.run, memory=True)
    if not _in_this_process(backend):
        backend.run = partial(_kept, backend.run)
        backend.status = partial(_told, backend)


def _kept(run: Any, circuits: Any, **options: Any) -> Any:
    """A job of the cloud, and on disk what its package needs to read the result in another process: the circuits."""
    job = run(circuits, **options)
    attempted(job.persist, "persist()")  # it runs, whether this can be written or not
    return _explained(job)


def _explained(job: Any) -> Any:
    """A job that says why it failed."""
    job.error_message = lambda: getattr(job._latest_state, "message", None)
    return job


def _told(backend: Any) -> Any:
    from qiskit_aqt_provider.api_client.errors import http_response_raise_for_status

    answer = backend._api_client.get(f"/v1/resources/{backend.id}")
    return http_response_raise_for_status(answer).json()["status"]


def _retrieved(backend: Any, job_id: str) -> Any:
    from qiskit_aqt_provider.exceptions import AQTJobPersistenceError

    try:
        return _explained(backend.restore_job(job_id))
    except AQTJobPersistenceError as exc:
        raise LookupError(job_id) from exc


_HELP = "Ask AQT for a client id and secret of ARNICA (https://arnica.aqt.eu), or for a device with direct access."

CONTRACT = {**ADAPTED_AER, **STATIC, **lacking("properties"), "noiseless_backend": "offline_simulator_no_noise"}

plugin = QiskitAdapter(
    backends, name="aqt", title="AQT", simulator=_offline,
    noisy=lambda backend: not backend.name.endswith("no_noise"), local=_in_this_process, fixup=_mend,
    retrieve=_retrieved, run_options=["seed_simulator"], requires=["qiskit-aqt-provider>=2,<3"],
    credentials=AQTCredentials, credentials_help=_HELP, contract=f"{__name__}:CONTRACT",
)  # fmt: skip
