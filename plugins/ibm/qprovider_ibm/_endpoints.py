"""Addresses of the five services of IBM Quantum, and the names of instances (CRN) that some depend on.

Each address is, in this order, what the account says (`api_url` and its like, or `endpoints`), what the environment
says, or derived from the account's `url`. Source of the derivation: section "Names and addresses" of the service's
protocol; unlike IBM's own client, it keeps ports.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

import attrs

from qprovider_core.errors import ConfigurationError, InvalidInputError

if TYPE_CHECKING:
    from qprovider_ibm._credentials import IBMCredentials

CLOUD_URL = "https://cloud.ibm.com"
SERVICES = ("iam", "search", "catalog", "resource_controller", "api")
# The environment variables of each service, ours first; the others are those of IBM's SDK.
VARIABLES: Mapping[str, tuple[str, ...]] = {
    "iam": ("QPROVIDER_IBM_IAM_URL", "IAM_URL"),
    "search": ("QPROVIDER_IBM_SEARCH_URL", "GLOBAL_SEARCH_URL"),
    "catalog": ("QPROVIDER_IBM_CATALOG_URL", "GLOBAL_CATALOG_URL"),
    "resource_controller": ("QPROVIDER_IBM_RESOURCE_CONTROLLER_URL",),
    "api": ("QPROVIDER_IBM_API_URL",),
}
_ALL_IN_ONE = "QPROVIDER_IBM_ENDPOINTS"  # the variable of the field `endpoints`
_API_PATH = "/api/v1"
_STAGING_IAM = "iam.test.cloud.ibm.com"
_HOME_REGION = "us-east"  # its API has no region in its name
_RETIRED_HOSTS = ("quantum-computing.ibm.com", "quantum.ibm.com", "quantumexperience.ng.bluemix.net")
_API_HOST = re.compile(r"(private\.)?([a-z0-9-]+\.)?quantum\.(test\.)?cloud\.ibm\.com")
_WORD = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")  # what may stand in a host's name between two dots
_CRN_FORM = "crn:v1:bluemix:public:quantum-computing:<region>:a/<account>:<id>::"


# ------------------------------------------------------------------------------------------------------- CRNs


@attrs.frozen(kw_only=True)
class Crn:
    """The parts of an instance's cloud resource name.

    Attributes:
        cloud: ``bluemix``, or ``staging`` for IBM's test cloud.
        region: Such as ``us-east`` or ``eu-de``.
        account: Of the account that it belongs to, without ``a/``.
        instance_id: Its own.
    """

    cloud: str
    region: str
    account: str
    instance_id: str


@lru_cache(maxsize=256)
def parse_crn(text: str) -> Crn:
    """The parts of a CRN.

    Raises:
        InvalidInputError: It is none, or one of another service.
    """
    try:
        return crn_of(text)
    except ValueError as exc:
        raise InvalidInputError(
            f"The instance {text!r} has no usable CRN: {exc}.",
            hint="Copy the whole CRN of the instance from https://quantum.cloud.ibm.com/instances.",
        ) from None


def crn_of(text: str) -> Crn:
    """As `parse_crn`; what is wrong is a `ValueError` without a full stop."""
    parts = text.split(":")
    if parts[0] != "crn":
        raise ValueError(f"it does not begin with 'crn:' ({_CRN_FORM})")
    if not text.isprintable() or " " in text:
        raise ValueError(f"{text!r} has a space or a line break in it; copy it again")
    if not 8 <= len(parts) <= 10 or not all(parts[1:3] + parts[4:8]) or not re.fullmatch("a/[^/]+", parts[6]):
        raise ValueError(f"{text!r} is not a whole CRN ({_CRN_FORM})")
    if parts[4] != "quantum-computing":
        raise ValueError(f"{text!r} is the CRN of an instance of {parts[4]}, not of quantum-computing")
    if not _WORD.fullmatch(parts[5]):  # it becomes part of an address that the key is sent to
        raise ValueError(f"{text!r} has no region such as us-east or eu-de in the place of {parts[5]!r}")
    return Crn(cloud=parts[2], region=parts[5], account=parts[6].removeprefix("a/"), instance_id=parts[7])


# -------------------------------------------------------------------------------------------------- addresses


def split_address(place: str, address: str, schemes: tuple[str, ...], *, credentials_go_in: str) -> SplitResult:
    """The parts of an address, with a host.

    Raises:
        ValueError: It is not a whole address, or holds a password, which would be shown in listings.
    """
    shown = "it" if "@" in address else repr(address)  # a password may stand before the @
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port  # the port is checked when it is read
    except ValueError as exc:
        raise ValueError(f"{place}: {shown} is not an address") from exc
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"{place}: an address must not hold a user name or password; they go in {credentials_go_in}")
    if parts.scheme not in schemes or not host or not address.isprintable() or " " in address:
        raise ValueError(f"{place}: expected an address that begins with {schemes[0]}://, not {shown}")
    return parts


def checked_address(place: str, address: str, *, cure: str, service: str | None = None) -> str:
    """The address of a service, or of IBM Cloud itself, without a slash at its end.

    Args:
        place: Where it stands: a field or an environment variable.
        cure: What to do to be rid of it.
        service: One of `SERVICES`; None for that of IBM Cloud, which the others are derived from.
    Raises:
        ValueError: It cannot be used.
    """
    parts = split_address(place, address, ("https", "http"), credentials_go_in="the token")
    host = parts.hostname or ""
    if is_retired_host(host):
        raise ValueError(f"{place}: {host} is a host of the retired IBM Quantum service; {cure}")
    if parts.scheme == "http" and not _is_loopback(host):
        raise ValueError(
            f"{place}: {address!r} would send the API key unencrypted; use https (http is only for addresses of the"
            " same machine)"
        )
    if "?" in address or "#" in address:
        raise ValueError(f"{place}: an address of a service has neither ? nor #, unlike {address!r}")
    cleaned = address.rstrip("/")
    if service == "api" and not cleaned.endswith(_API_PATH):
        raise ValueError(f"{place}: the address of the Quantum API ends in {_API_PATH}, unlike {address!r}")
    if service is None and _API_HOST.fullmatch(host) and not _is_experimental(address):
        raise ValueError(
            f"{place}: {address!r} is the Quantum API itself; this is the place for the address of IBM Cloud,"
            f" {CLOUD_URL}. Leave it out, or give the API's as api_url"
        )
    return cleaned


@attrs.frozen(kw_only=True)
class Endpoints:
    """Where the services are. The addresses have no slash at their end; that of the API ends in ``/api/v1``.

    Attributes:
        sources: Service to where its address comes from: ``argument`` (of the account), ``environment (IAM_URL)``
            or ``derived``.
    """

    iam: str
    search: str
    catalog: str
    resource_controller: str
    sources: Mapping[str, str]
    _api: str | None = None  # for all instances
    _url: SplitResult
    _private: bool = False

    def api(self, crn: str) -> str:
        """The base of the Quantum API for that instance.

        Raises:
            InvalidInputError: It is no CRN.
        """
        if self._api is not None:
            return self._api
        region = parse_crn(crn).region
        if self._private:
            prefix = f"private.{region}.quantum"
        else:
            prefix = "quantum" if region == _HOME_REGION else f"{region}.quantum"
        return f"{self._url.scheme}://{prefix}.{self._url.netloc}{_API_PATH}"


def endpoints_for(credentials: IBMCredentials, environ: Mapping[str, str] = os.environ) -> Endpoints:
    """The addresses for an account.

    A `url` on this machine (``http://127.0.0.1:8080``), or one with a number for a host, has no subdomains: there all
    services are taken to be on that one host, as the emulator has them.

    Raises:
        ConfigurationError: The environment names an address that cannot be used.
    """
    url = urlsplit(credentials.url)
    addresses = _derived(credentials, url)
    sources = dict.fromkeys(SERVICES, "derived")
    for service in SERVICES:
        found = _given(service, credentials, environ)
        if found is not None:
            addresses[service], sources[service] = found
    return Endpoints(
        iam=addresses["iam"],
        search=addresses["search"],
        catalog=addresses["catalog"],
        resource_controller=addresses["resource_controller"],
        api=addresses.get("api"),
        url=url,
        private=credentials.private_endpoint,
        sources=sources,
    )


def _given(service: str, credentials: IBMCredentials, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """The address that somebody chose for a service, and where."""
    field: str | None = getattr(credentials, f"{service}_url")
    entry = (credentials.endpoints or {}).get(service)
    variable = next((name for name in VARIABLES[service] if environ.get(name)), None)
    # An account of the environment has the variable's text in its field; `endpoints` as an argument wins over that.
    if field is not None and (variable is None or environ[variable] != field):
        return field.rstrip("/"), "argument"
    if entry is not None and (variable is None or not environ.get(_ALL_IN_ONE)):
        return entry.rstrip("/"), "argument"
    if variable is None:
        return None
    try:
        address = checked_address(variable, environ[variable], cure=f"unset {variable}", service=service)
    except ValueError as exc:
        problem = f"{exc}."
    else:
        return address, f"environment ({variable})"
    # Raised out here, without the cause: its frames hold the text, which may have a password in it.
    raise ConfigurationError(
        f"The environment variable {variable} gives no address that can be used.",
        why=problem,
        hint=f"Unset {variable} to use the address of IBM Cloud.",
    )


def _derived(credentials: IBMCredentials, url: SplitResult) -> dict[str, str]:
    """The addresses that follow from the account's `url`; none of the API where it depends on the instance."""
    experimental = {"api": credentials.url.rstrip("/")} if _is_experimental(credentials.url) else {}
    if _stands_alone(url.hostname or ""):
        root = f"{url.scheme}://{url.netloc}"
        return {
            "iam": root,
            "search": root,
            "catalog": f"{root}/globalcatalog{_API_PATH}",
            "resource_controller": root,
            "api": f"{root}{_API_PATH}",
            **experimental,
        }
    cloud = urlsplit(CLOUD_URL) if experimental else url
    scheme, host = cloud.scheme, cloud.netloc
    instance = credentials.instance or ""
    staging = instance.startswith("crn:") and parse_crn(instance).cloud == "staging"
    iam = _STAGING_IAM if staging else f"iam.{host}"
    return {
        "iam": f"{scheme}://{'private.' if credentials.private_endpoint else ''}{iam}",
        "search": f"{scheme}://api.global-search-tagging.{host}",
        "catalog": f"{scheme}://globalcatalog.{host}{_API_PATH}",
        "resource_controller": f"{scheme}://resource-controller.{host}",
        **experimental,
    }


def variable_that_names(url: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """The environment variable that an address below that of a service comes from; None when none names it."""
    for name in (name for names in VARIABLES.values() for name in names):
        base = environ.get(name, "").rstrip("/")
        if base and (url == base or url.startswith(f"{base}/")):
            return name
    return None


def is_retired_host(host: str) -> bool:
    """Whether it was one of the retired IBM Quantum service's."""
    return any(host == retired or host.endswith(f".{retired}") for retired in _RETIRED_HOSTS)


def _is_experimental(url: str) -> bool:
    """Whether IBM's client would take the address for the API itself, unchanged."""
    return "experimental" in url


def _stands_alone(host: str) -> bool:
    """Whether a host's name has no subdomains: a number, or this machine."""
    try:
        ip_address(host)
    except ValueError:
        return host == "localhost"
    return True


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
