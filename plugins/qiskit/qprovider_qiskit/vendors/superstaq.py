"""Superstaq, a compiler and gateway to devices of several vendors, through qiskit-superstaq.

*Unverified*: written after its source (0.5.70) and run against a stub behind a port of this machine, never against the
service. Its client waits for an hour where it gets no answer, and asks at the terminal whether its terms of use are
accepted; neither is let happen.
"""

from __future__ import annotations

from typing import Any, NoReturn

import attrs

from qprovider_core.errors import AuthenticationError
from qprovider_core.records import TokenCredentials
from qprovider_core.secret import Secret
from qprovider_qiskit._adapter import QiskitAdapter
from qprovider_qiskit.vendors._declared import REMOTE, lacking

_RETRIED_S = 10  # a request that gets no answer


@attrs.frozen(kw_only=True, repr=False)
class SuperstaqCredentials(TokenCredentials):
    """An account of Superstaq. Only the token is needed.

    Attributes:
        ibm_token: With which Superstaq submits to IBM's devices; ibm_instance: where.
        cq_token: With which it submits to Infleqtion's own.
    """

    token: Secret = attrs.field(metadata={"help": "API key", "env": ("SUPERSTAQ_API_KEY",)})
    url: str | None = attrs.field(
        default=None, metadata={"help": "address of the service", "env": ("SUPERSTAQ_REMOTE_HOST",)}
    )
    ibm_token: Secret | None = attrs.field(default=None, metadata={"help": "IBM Cloud API key, for IBM's devices"})
    ibm_instance: str | None = attrs.field(default=None, metadata={"help": "IBM instance, for IBM's devices"})
    cq_token: Secret | None = attrs.field(default=None, metadata={"help": "token for Infleqtion's devices"})


def backends(credentials: SuperstaqCredentials) -> list[Any]:
    from qiskit_superstaq import SuperstaqProvider

    secrets = {"ibmq_token": credentials.ibm_token, "cq_token": credentials.cq_token}
    provider = SuperstaqProvider(
        credentials.token.reveal(),
        remote_host=credentials.url,
        max_retry_seconds=_RETRIED_S,
        ibmq_instance=credentials.ibm_instance,
        **{name: None if secret is None else secret.reveal() for name, secret in secrets.items()},
    )
    provider._client._prompt_accept_terms_of_use = _not_accepted
    targets = provider._client.get_targets(supports_submit=True, retired=False)
    return [provider.get_backend(one.target) for one in targets]


def _not_accepted() -> NoReturn:
    raise AuthenticationError(
        "Superstaq takes this key when its terms of use have been accepted.",
        hint="Read and accept them on https://superstaq.infleqtion.com/terms_of_use.",
    )


def _status(backend: Any) -> bool | None:
    targets = {one.target: one for one in backend._provider._client.get_targets()}
    told = targets.get(backend.name)
    return None if told is None else told.available and told.accessible


def _retrieved(backend: Any, job_id: str) -> Any:
    return backend._provider.get_job(job_id)  # that of the backend is deprecated


CONTRACT = {
    **REMOTE,
    **lacking("properties"),
    "noiseless_backend": "ss_unconstrained_simulator",
    "wrong_credentials": {"token": "not-a-key"},
}

plugin = QiskitAdapter(
    backends, name="superstaq", title="Superstaq", simulator=lambda backend: backend.name.endswith("_simulator"),
    status=_status, retrieve=_retrieved, run_options=["method", "verbatim"],
    requires=["qiskit-superstaq>=0.5.70,<0.6"], credentials=SuperstaqCredentials,
    credentials_help="Make an API key on https://superstaq.infleqtion.com (your profile).",
    contract=f"{__name__}:CONTRACT",
)  # fmt: skip
