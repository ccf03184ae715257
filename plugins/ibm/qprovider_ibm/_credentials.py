"""What an account of IBM Quantum consists of, and what cannot be one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import attrs

from qprovider_core.records import TokenCredentials
from qprovider_core.records._base import as_tuple
from qprovider_core.secret import Secret

API_KEY_HELP = (
    "Create an API key at https://quantum.cloud.ibm.com (IBM Cloud API key). Tokens of the retired"
    " IBM Quantum service (hub/group/project) do not work there."
)
_CHANNELS = ("ibm_quantum_platform", "ibm_cloud")
_RETIRED_HOSTS = ("quantum-computing.ibm.com", "quantum.ibm.com")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def _check_token(instance: object, attribute: attrs.Attribute[Any], value: Secret) -> None:
    text = value.reveal()
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("token: it has a space, a line break or another character that no API key has; copy it again")


def _check_instance(instance: object, attribute: attrs.Attribute[Any], value: str | None) -> None:
    if value is None:
        return
    if not value.strip():
        raise ValueError("instance: it is empty; leave it out to use all instances of the account")
    if value.startswith("crn:"):
        parts = value.split(":")
        if len(parts) < 8 or not parts[5] or not parts[7]:
            raise ValueError(
                f"instance: {value!r} is not a whole CRN"
                " (crn:v1:bluemix:public:quantum-computing:<region>:a/<account>:<id>::)"
            )
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
    host = _host(attribute.name, value, ("https", "http"))
    if any(host == retired or host.endswith(f".{retired}") for retired in _RETIRED_HOSTS):
        raise ValueError(
            f"{attribute.name}: {host} is a host of the retired IBM Quantum service; leave it out, or unset"
            " the environment variable"
        )
    if value.lower().startswith("http:") and host not in _LOOPBACK and not host.startswith("127."):
        raise ValueError(
            f"{attribute.name}: {value!r} would send the API key unencrypted; use https (http is only for"
            " addresses of the same machine)"
        )


def _check_proxies(instance: object, attribute: attrs.Attribute[Any], value: Mapping[str, str] | None) -> None:
    for scheme, url in (value or {}).items():
        _host(f"{attribute.name}[{scheme!r}]", url, ("http", "https", "socks5", "socks5h"))


def _host(place: str, url: str, schemes: tuple[str, ...]) -> str:
    """The host of an address.

    Raises:
        ValueError: It is not a whole address, or holds a password, which would be shown in listings.
    """
    shown = "it" if "@" in url else repr(url)  # a password may stand before the @
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # the port is checked when it is read
    except ValueError as exc:
        raise ValueError(f"{place}: {shown} is not an address") from exc
    if parts.username is not None or parts.password is not None:
        where = "proxy_username and proxy_password" if place.startswith("proxies") else "the token"
        raise ValueError(f"{place}: an address must not hold a user name or password; they go in {where}")
    if parts.scheme not in schemes or not host or url != url.strip():
        raise ValueError(f"{place}: expected an address that begins with {schemes[0]}://, not {shown}")
    return host


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
        url: Address of IBM Cloud, from which the others are derived.
        channel: ``ibm_quantum_platform`` or its older name ``ibm_cloud``; the same service.
        region: Only instances of this region, such as ``us-east`` or ``eu-de``.
        plans_preference: Only instances of these plans, in this order, such as ``open``, ``premium``.
        tags: Only instances that have all these tags.
        private_endpoint: Use the addresses inside a private cloud network.
        proxies: Scheme to address of the proxy for it.
        verify: Whether certificates are checked, or the path of a CA bundle to check them against.
        api_url, iam_url, search_url, catalog_url, resource_controller_url: Addresses of single services,
            where they are not the ones derived from `url`.
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
        default="https://cloud.ibm.com",
        validator=_check_url,
        metadata={"help": "address of IBM Cloud", "env": ("QISKIT_IBM_URL",)},
    )
    channel: str = attrs.field(
        default="ibm_quantum_platform",
        validator=_check_channel,
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
    verify: bool | str = attrs.field(
        default=True, metadata={"help": "check certificates: true, false, or the path of a CA bundle"}
    )
    api_url: str | None = _url_field("address of the Quantum API")
    iam_url: str | None = _url_field("address of the service that exchanges the key", "IAM_URL")
    search_url: str | None = _url_field("address of Global Search", "GLOBAL_SEARCH_URL")
    catalog_url: str | None = _url_field("address of the Global Catalog", "GLOBAL_CATALOG_URL")
    resource_controller_url: str | None = _url_field("address of the Resource Controller")
