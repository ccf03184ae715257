"""Accounts that IBM's own client, `qiskit-ibm-runtime`, saved on this machine. They are read, never changed.

Source of the file's form and of the rules which account is used: section "Saved accounts and environment" of the
service's protocol.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import attrs

from qprovider_core.records import ForeignAccount
from qprovider_core.secret import Secret
from qprovider_ibm._credentials import is_retired_token
from qprovider_ibm._endpoints import is_retired_host

CLIENT = "qiskit-ibm-runtime"
PLATFORM, CLOUD, RETIRED = "ibm_quantum_platform", "ibm_cloud", "ibm_quantum"
_FILE, _OLD_FILE = "~/.qiskit/qiskit-ibm.json", "~/.qiskit/qiskitrc"
_DEFAULT_NAMES = {PLATFORM: "default-ibm-quantum-platform", CLOUD: "default-ibm-cloud"}
_FORMER_DEFAULT_NAME = "default"
_RETIRED_NAMES = ("default-ibm-quantum", "default-legacy")
_FORMER_WORDS = {"legacy": RETIRED, "cloud": CLOUD}  # what the key "auth" said before there was "channel"
_PLAIN = ("instance", "verify", "private_endpoint", "region", "plans_preference", "tags")
_MOST_BYTES = 1 << 20  # a hundred accounts take some 50 kB
_RETIRED_HINT = (
    "Create an API key (IBM Cloud API key) at https://quantum.cloud.ibm.com and save an account with it;"
    " QiskitRuntimeService.delete_account(name=…) deletes an old one."
)
_FILE_HINT = f"Repair it in an editor, or move it away and save the account anew; {CLIENT} cannot use it either."


def foreign_accounts(environ: Mapping[str, str] = os.environ) -> tuple[ForeignAccount, ...]:
    """What the core is told: the accounts in the file, the one that IBM's client would take marked as default."""
    accounts = read_accounts()
    chosen = choose(accounts, environ=environ)
    return tuple(attrs.evolve(account, is_default=account is chosen) for account in accounts)


def choose(
    accounts: Sequence[ForeignAccount],
    name: str | None = None,
    channel: str | None = None,
    environ: Mapping[str, str] = os.environ,
) -> ForeignAccount | None:
    """The account that is used, as far as the file decides it; None when it has none.

    Args:
        accounts: As `read_accounts` gives them, `is_default` being what the file says.
        name: The entry of that name and no other, even one that cannot be used.
        channel: Only entries of this channel. Where there are none, those of its other name do: it is one service.
    """
    if name is not None:
        return next((account for account in accounts if account.name == name), None)
    sound = [account for account in accounts if account.name and account.problem is None]
    if channel is not None:
        return _of_channel(sound, channel)
    flagged = next((account for account in sound if account.is_default), None)
    return (
        flagged
        or _of_channel(sound, environ.get("QISKIT_IBM_CHANNEL") or PLATFORM)
        or _called(sound, [*_DEFAULT_NAMES.values(), _FORMER_DEFAULT_NAME])
    )


def _of_channel(accounts: Sequence[ForeignAccount], channel: str) -> ForeignAccount | None:
    """The one to use of a channel: marked as default, called by a default name, or the last one."""
    words = sorted(_DEFAULT_NAMES, key=lambda word: word != channel) if channel in _DEFAULT_NAMES else [channel]
    for word in words:
        own = [account for account in accounts if account.fields.get("channel", PLATFORM) == word]
        if own:
            flagged = next((account for account in own if account.is_default), None)
            return flagged or _called(own, [_DEFAULT_NAMES[word], _FORMER_DEFAULT_NAME]) or own[-1]
    return None


def _called(accounts: Iterable[ForeignAccount], names: Sequence[str]) -> ForeignAccount | None:
    by_name = {account.name: account for account in accounts}
    return next((by_name[name] for name in names if name in by_name), None)


# ---------------------------------------------------------------------------------------------------- the file


class _Damage(ValueError):
    """What is wrong, as the rest of a sentence. Never shows a value: it may be a token."""


def read_accounts(path: Path | None = None) -> tuple[ForeignAccount, ...]:
    """The file's accounts in its order, `is_default` as it says; empty when there is no file.

    Nothing is raised: an entry that cannot be used has its `problem`, and so has the whole of a file that cannot be
    read, without a name.

    Args:
        path: The file; by default the one of IBM's client.
    """
    source = f"{CLIENT}, {_FILE if path is None else path}"
    try:
        entries = _entries(Path(os.path.expanduser(_FILE)) if path is None else path)
    except _Damage as exc:
        return (ForeignAccount(name="", source=source, problem=f"the file {exc}", hint=_FILE_HINT),)
    old = os.path.exists(os.path.expanduser(_OLD_FILE))
    if old and not entries and path is None:  # whoever has nothing else wonders why it is not found
        problem = "it belongs to the retired IBM Quantum service"
        return (ForeignAccount(name="", source=_OLD_FILE, problem=problem, hint=_RETIRED_HINT),)
    also = f", as does {_OLD_FILE}" if old else ""
    return tuple(_account(name, entry, source, also) for name, entry in entries.items())


def _entries(path: Path) -> dict[str, Any]:
    """The file's object; empty when there is no file.

    Raises:
        _Damage: It cannot be read, or is no JSON object.
    """
    try:
        data = _content(path)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as exc:
        if isinstance(exc, _Damage):
            raise
        raise _Damage(f"cannot be read: {getattr(exc, 'strerror', None) or exc}") from None
    try:
        entries = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as exc:
        problem = f"is damaged: byte {exc.start} is not UTF-8"
    except json.JSONDecodeError as exc:
        problem = f"is damaged: line {exc.lineno}, column {exc.colno}: {exc.msg}" if data.strip() else "is empty"
    except RecursionError:
        problem = "is damaged: it is nested too deeply"
    except ValueError:
        problem = "is damaged: it has a number that is too long"
    else:
        if isinstance(entries, dict):
            return entries
        problem = "is damaged: it does not hold one object with the accounts"
    # Raised out here, without the cause, which holds the text.
    raise _Damage(problem)


def _content(path: Path) -> bytes:
    """What is in the file: a plain one of a sensible size, so that reading ends."""

    def opened(name: str, flags: int) -> int:
        return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))  # a pipe would wait for somebody to write into it

    with open(path, "rb", opener=opened) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise _Damage("cannot be read: it is no plain file")
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise _Damage(f"cannot be read: it is larger than {_MOST_BYTES >> 20} MiB")
    return data


# -------------------------------------------------------------------------------------------------- one entry


def _account(name: str, entry: Any, source: str, also: str) -> ForeignAccount:
    """The account of an entry. What is wrong with it is its `problem`; its fields then say little or nothing.

    Args:
        also: What to add where the entry is of the retired service.
    """
    if not name:
        return ForeignAccount(name="", source=source, problem="an entry of the file has no name", hint=_FILE_HINT)
    fields: dict[str, Any] = {}
    problem = hint = None
    if not isinstance(entry, dict):
        entry, problem = {}, "it is not an object"
    token = entry.get("token")
    if isinstance(token, str) and token.strip():
        fields["token"] = Secret(token)
    elif problem is None:
        problem = "it has no token"
    channel = entry.get("channel") or _FORMER_WORDS.get(str(entry.get("auth")), PLATFORM)
    if _is_retired(name, entry):
        problem, hint = f"it belongs to the retired IBM Quantum service{also}", _RETIRED_HINT
    elif channel == "local":
        problem, hint = "it stands for simulators on this machine", "The provider 'local' has these."
    elif not isinstance(channel, str) or channel not in _DEFAULT_NAMES:
        problem = problem or "its channel is not known"
    if problem is None:
        fields["channel"] = channel
        try:
            fields |= _details(entry)
        except _Damage as exc:
            problem = str(exc)
    return ForeignAccount(
        name=name,
        fields=fields,
        is_default=entry.get("is_default_account") is True,
        source=source,
        problem=problem,
        hint=hint or (f"Save it anew with {CLIENT}, or with qprovider." if problem else None),
        removal=f"QiskitRuntimeService.delete_account(name={name!r})",
    )


def _is_retired(name: str, entry: Mapping[str, Any]) -> bool:
    """Whether the entry is of the service that took the old tokens, by any of its marks."""
    channel = entry.get("channel") or _FORMER_WORDS.get(str(entry.get("auth")))
    token, url, instance = (entry.get(key) for key in ("token", "url", "instance"))
    if channel == RETIRED or (isinstance(token, str) and is_retired_token(token)):
        return True
    if isinstance(url, str) and is_retired_host(_host(url)):
        return True
    return channel is None and (
        name in _RETIRED_NAMES or (isinstance(instance, str) and instance.count("/") == 2 and ":" not in instance)
    )


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _details(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Our fields for what an entry has beside token and channel. Their types are checked where the account is made.

    Raises:
        _Damage: A part cannot be read.
    """
    fields = {key: entry[key] for key in _PLAIN if entry.get(key) is not None}
    url = entry.get("url")
    if isinstance(url, str):
        if "@" in url:  # it would be shown in listings
            raise _Damage("its url holds a user name or password")
        fields["url"] = url.rstrip("/") or url
    elif url is not None:
        raise _Damage("its url is not a text")
    if entry.get("proxies"):
        fields |= fields_of_proxies(entry["proxies"])
    return fields


def fields_of_proxies(proxies: Any) -> dict[str, Any]:
    """Our fields for IBM's form of proxies. Who signs in stands beside the addresses or, for others than NTLM, in
    them; we keep it beside.

    Raises:
        _Damage: They are of another form.
    """
    urls = (proxies.get("urls") or {}) if isinstance(proxies, dict) else None
    if not isinstance(urls, dict) or not all(isinstance(url, str) for url in urls.values()):
        raise _Damage("its proxies are not of the form {'urls': {'https': 'http://proxy:8080'}}")
    username, password = proxies.get("username_ntlm"), proxies.get("password_ntlm")
    if not isinstance(username, str | None) or not isinstance(password, str | None):
        raise _Damage("the user name or password of its proxies is not a text")
    users = {(username, password, True)} if username or password else set()
    addresses = {}
    for scheme, url in urls.items():
        addresses[scheme], user = _without_user(url)
        if user is not None:
            users.add((*user, False))
    if len(users) > 1:
        raise _Damage("its proxies name several users; one is possible")
    fields: dict[str, Any] = {"proxies": addresses} if addresses else {}
    for username, password, ntlm in users:
        given = {"proxy_username": username, "proxy_password": Secret(password) if password else None}
        fields |= {key: value for key, value in given.items() if value is not None}
        fields |= {"proxy_ntlm": True} if ntlm else {}
    return fields


def _without_user(url: str) -> tuple[str, tuple[str | None, str | None] | None]:
    """A proxy's address, and who signs in there when that is in it."""
    if "@" not in url:
        return url, None
    problem = "the address of a proxy of it cannot be read"
    try:
        parts = urlsplit(url)
        if parts.username is not None:
            bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
            password = None if parts.password is None else unquote(parts.password)
            if "@" not in bare:
                return bare, (unquote(parts.username), password)
    except ValueError:
        pass
    raise _Damage(problem)
