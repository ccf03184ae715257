"""What an account of IBM Quantum consists of, and what cannot be one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from qprovider_core.errors import near_matches
from qprovider_core.records import TokenCredentials
from qprovider_core.records._base import as_tuple
from qprovider_core.secret import Secret
from qprovider_ibm._endpoints import CLOUD_URL, SERVICES, checked_address, crn_of, split_address

API_KEY_HELP = (
    "Create an API key at https://quantum.cloud.ibm.com (IBM Cloud API key). Tokens of the retired"
    " IBM Quantum service (hub/group/project) do not work there."
)
_CHANNELS = ("ibm_quantum_platform", "ibm_cloud")


def is_retired_token(text: str) -> bool:
    """Whether it has the form of the retired service's tokens, which no API key has."""
    return len(text) == 128 and not text.strip("0123456789abcdef")


def _check_token(instance: object, attribute: attrs.Attribute[Any], value: Secret) -> None:
    text = value.reveal()
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("token: it has a space, a line break or another character that no API key has; copy it again")
    if is_retired_token(text):
        raise ValueError("token: it has the form of a token of the retired IBM Quantum service; create an API key")


def _check_instance(instance: object, attribute: attrs.Attribute[Any], value: str | None) -> None:
    if value is None:
        return
    if not value.strip():
        raise ValueError("instance: it is empty; leave it out to use all instances of the account")
    if value.startswith("crn:"):
        try:
            crn_of(value)
        except ValueError as exc:
            raise ValueError(f"instance: {exc}") from None
    elif value.count("/") == 2:
        raise ValueError(
            f"instance: {value!r} is a hub/group/project of the retired service; give the CRN or the name of"
            " an instance, or leave it out"
        )


def _check_channel(instance: object, attribute: attrs.Attribute[Any], value: str) -> None:
    if value == "local":
        raise ValueError("channel: 'local' means simulators on this machine; open the provider 'local' for them")
    if value == "ibm_quantum":
        raise ValueError(
            "channel: 'ibm_quantum' has been shut down; leave it out, and use an IBM Cloud API key as token"
        )
    if value not in _CHANNELS:
        raise ValueError(f"channel: expected {' or '.join(map(repr, _CHANNELS))}, not {value!r}")


def _check_url(instance: object, attribute: attrs.Attribute[Any], value: str | None) -> None:
    if value is None:
        return
    service = attribute.name.removesuffix("_url")
    variables = (f"QPROVIDER_IBM_{attribute.name}".upper(), *attribute.metadata["env"])
    checked_address(
        attribute.name,
        value,
        cure=f"leave {attribute.name} out, and unset {' and '.join(variables)} in the environment",
        service=service if service in SERVICES else None,
    )


def _check_endpoints(instance: object, attribute: attrs.Attribute[Any], value: Mapping[str, str] | None) -> None:
    for service, address in (value or {}).items():
        if service not in SERVICES:
            close = near_matches(service, SERVICES)
            guess = f"did you mean {close[0]!r}? " if close else ""
            raise ValueError(f"endpoints: there is no service {service!r}; {guess}Known are {', '.join(SERVICES)}")
        place = f"endpoints[{service!r}]"
        checked_address(place, address, cure="leave it out", service=service)


def _check_proxies(instance: object, attribute: attrs.Attribute[Any], value: Mapping[str, str] | None) -> None:
    for scheme, url in (value or {}).items():
        split_address(
            f"proxies[{scheme!r}]",
            url,
            ("http", "https", "socks5", "socks5h"),
            credentials_go_in="proxy_username and proxy_password",
        )


def _check_verify(instance: object, attribute: attrs.Attribute[Any], value: bool | str) -> None:
    if isinstance(value, str) and not value.strip():  # to the HTTP library that would mean: check nothing
        raise ValueError("verify: it is empty; leave it out, or give the path of a CA bundle")


def _check_region(instance: object, attribute: attrs.Attribute[Any], value: str | None) -> None:
    if value is not None and not (value.isascii() and value.replace("-", "").isalnum()):
        raise ValueError(f"region: expected a word such as 'us-east' or 'eu-de', not {value!r}")


def _url_field(help_text: str, *variables: str) -> Any:
    return attrs.field(default=None, validator=_check_url, metadata={"help": help_text, "env": variables})


@attrs.frozen(kw_only=True, repr=False)
class IBMCredentials(TokenCredentials):
    """An account of IBM Quantum. Only the token is needed.

    Attributes:
        instance: CRN or name of an instance; ``auto`` or None: chosen among all of the account.
        url: Address of IBM Cloud, from which the others are derived. One on this machine stands for all of them.
        channel: ``ibm_quantum_platform`` or its older name ``ibm_cloud``; the same service.
        region: Only instances of this region, such as ``us-east`` or ``eu-de``.
        plans_preference: Only instances of these plans, in this order, such as ``open``, ``premium``.
        tags: Only instances that have all these tags.
        private_endpoint: Use the addresses inside a private cloud network.
        proxies: Scheme to address of the proxy for it.
        proxy_username, proxy_password: Who signs in at the proxy; proxy_ntlm: whether by NTLM.
        verify: Whether certificates are checked, or the path of a CA bundle to check them against.
        api_url, iam_url, search_url, catalog_url, resource_controller_url: Addresses of single services,
            where they are not the ones derived from `url`.
        endpoints: The same in one mapping: ``iam``, ``search``, ``catalog``, ``resource_controller``, ``api``. A
            single field wins over it.
    """

    token: Secret = attrs.field(
        validator=_check_token, metadata={"help": "IBM Cloud API key", "env": ("QISKIT_IBM_TOKEN",)}
    )
    instance: str | None = attrs.field(
        default=None,
        validator=_check_instance,
        metadata={"help": "CRN or name of an instance", "env": ("QISKIT_IBM_INSTANCE",)},
    )
    url: str = attrs.field(
        default=CLOUD_URL,
        validator=_check_url,
        metadata={"help": "address of IBM Cloud", "env": ("QISKIT_IBM_URL",)},
    )
    channel: str = attrs.field(
        default="ibm_quantum_platform",
        validator=_check_channel,
        eq=False,  # two words for one service: accounts that differ in it alone are the same
        metadata={"help": "ibm_quantum_platform or ibm_cloud", "env": ("QISKIT_IBM_CHANNEL",)},
    )
    region: str | None = attrs.field(
        default=None, validator=_check_region, metadata={"help": "only instances of this region"}
    )
    plans_preference: tuple[str, ...] = attrs.field(
        default=(), converter=as_tuple, metadata={"help": "only instances of these plans, in this order"}
    )
    tags: tuple[str, ...] = attrs.field(
        default=(), converter=as_tuple, metadata={"help": "only instances with all these tags"}
    )
    private_endpoint: bool = attrs.field(
        default=False, metadata={"help": "use the addresses inside a private cloud network"}
    )
    proxies: Mapping[str, str] | None = attrs.field(
        default=None, validator=_check_proxies, metadata={"help": "scheme to address of the proxy"}
    )
    proxy_username: str | None = attrs.field(default=None, metadata={"help": "user name at the proxy"})
    proxy_password: Secret | None = attrs.field(default=None, metadata={"help": "password at the proxy"})
    proxy_ntlm: bool = attrs.field(default=False, metadata={"help": "sign in at the proxy by NTLM"})
    verify: bool | str = attrs.field(
        default=True,
        validator=_check_verify,
        metadata={"help": "check certificates: true, false, or the path of a CA bundle"},
    )
    api_url: str | None = _url_field("address of the Quantum API")
    iam_url: str | None = _url_field("address of the service that exchanges the key", "IAM_URL")
    search_url: str | None = _url_field("address of Global Search", "GLOBAL_SEARCH_URL")
    catalog_url: str | None = _url_field("address of the Global Catalog", "GLOBAL_CATALOG_URL")
    resource_controller_url: str | None = _url_field("address of the Resource Controller")
    endpoints: Mapping[str, str] | None = attrs.field(
        default=None, validator=_check_endpoints, metadata={"help": "service to address, all in one"}
    )
