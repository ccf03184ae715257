"""Writes a plugin's package from the template: the files in `_template/`, which are a plugin of "Acme Quantum".

The template is a package that would run as it stands. Names are put in for its own: ``acme``, ``Acme`` in the names of
classes, ``ACME`` in those of variables, ``qprovider-acme`` and "Acme Quantum". What goes for accounts with a token
only, or for those without, stands between lines ``@token``, ``@none`` and ``@end``, or on a line that ends with
``@token only``; in code, what stands after ``@none`` is commented out.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from keyword import iskeyword
from pathlib import Path
from typing import Literal

import attrs

from qprovider_core.errors import InvalidInputError, QProviderError
from qprovider_core.records import ProviderSpec

TEMPLATE = Path(__file__).with_name("_template")
Credentials = Literal["none", "token"]

_MARK = re.compile(r"\s*(?:# @|<!-- @)(token|none|end)(?: -->)?\n")
_ONLY = re.compile(r" +# @token only(?=\n)")
_COMMENT = re.compile("^( *)# ?")
_OWN = re.compile("Acme Quantum|qprovider-acme|ACME|Acme|acme")
_UNFIT = '"\\'  # in a title: they would end, or change, the texts that it is put into
_LONGEST_TITLE = 60
_RESERVED = frozenset({"core", "qprovider"})  # qprovider_core is the core itself


@attrs.frozen(kw_only=True)
class NewPackage:
    """A package that is to be written.

    Attributes:
        name: Of the provider; title: as people know it.
    """

    name: str
    title: str
    credentials: Credentials = "none"

    @property
    def distribution(self) -> str:
        return f"qprovider-{self.name.replace('_', '-')}"

    @property
    def module(self) -> str:
        return f"qprovider_{self.name}"

    @property
    def class_prefix(self) -> str:
        return "".join(part.capitalize() for part in self.name.split("_"))

    def files(self) -> Iterator[tuple[str, str]]:
        """Path and text of each file."""
        for file in sorted(TEMPLATE.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                path = file.relative_to(TEMPLATE).as_posix()
                text = "".join(self._chosen(file.read_text(encoding="utf-8"), code=file.suffix != ".md"))
                yield self._named(path), self._named(text)

    def _chosen(self, text: str, *, code: bool) -> Iterator[str]:
        """The lines that go for this kind of account."""
        part = "end"  # of a block: what goes for all
        for line in text.splitlines(keepends=True):
            if mark := _MARK.fullmatch(line):
                part = mark[1]
            elif part in ("end", self.credentials):
                chosen, only_with_token = _ONLY.subn("", line)
                if self.credentials == "token" or not only_with_token:
                    yield _COMMENT.sub(r"\1", chosen) if code and part == "none" else chosen

    def _named(self, text: str) -> str:
        own = {
            "Acme Quantum": self.title,
            "qprovider-acme": self.distribution,
            "ACME": self.name.upper(),
            "Acme": self.class_prefix,
            "acme": self.name,
        }
        return _OWN.sub(lambda found: own[found[0]], text)

    def write(self, parent: Path) -> Path:
        """Write it into a directory of its own, whole or not at all; returns that directory.

        Raises:
            QProviderError: It is there already, or cannot be written.
        """
        target = parent / self.distribution
        if os.path.lexists(target):
            raise _there(target)
        if not parent.is_dir():
            raise QProviderError(
                f"{target} cannot be written.",
                why=f"{parent} is {'no directory' if parent.exists() else 'not there'}.",
                hint="Name another one with --directory, or create it first.",
            )
        unfinished = parent / f".{self.distribution}.{secrets.token_hex(4)}"
        try:
            for path, text in self.files():
                file = unfinished / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8", newline="\n")
            os.rename(unfinished, target)
        except OSError as exc:
            if os.path.lexists(target):  # somebody was quicker
                raise _there(target) from exc
            raise QProviderError(
                f"{target} cannot be written.",
                why=f"{exc.strerror or exc}: {exc.filename or parent}",
                hint="Name another place with --directory.",
            ) from exc
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        return target


def new_package(name: str, *, title: str | None = None, credentials: Credentials = "none") -> NewPackage:
    """The package of that name.

    Raises:
        InvalidInputError: The name or the title is none that a plugin can have, or the name is taken.
    """
    _check_name(name)
    package = NewPackage(name=name, title=_title(name, title), credentials=credentials)
    _check_free(package)
    return package


def _check_name(name: str) -> None:
    why = None
    try:
        ProviderSpec(name=name, title=name)
    except ValueError as exc:
        why = f"{str(exc)[:1].upper()}{str(exc)[1:]}."
    if why is None and (name.endswith("_") or "__" in name):
        why = "Each underscore stands between two letters or digits: it becomes a hyphen in the distribution's name."
    if why is None and (iskeyword(name) or name in _RESERVED):
        why = f"{name!r} is {'a word of Python' if iskeyword(name) else 'a part of qprovider itself'}."
    if why is not None:
        raise InvalidInputError(f"{name!r} cannot be the name of a plugin.", why=why, hint=_hint(name))


def _hint(name: str) -> str:
    """A name that can be taken."""
    near = "_".join(re.findall("[a-z0-9]+", name.lower())).lstrip("_0123456789")[:40].rstrip("_")
    if not near or near == name:
        near = "acme"
    return f"Take a short lower-case name, such as: qprovider new-plugin {near}"


def _title(name: str, title: str | None) -> str:
    if title is None:
        return " ".join(part.capitalize() for part in name.split("_"))
    title = title.strip()
    if not title or len(title) > _LONGEST_TITLE or not title.isprintable() or set(title) & set(_UNFIT):
        raise InvalidInputError(
            f"{title!r} cannot be a title." if title else "The title is empty.",
            why=f"It is one line of at most {_LONGEST_TITLE} characters, without double quotes and backslashes.",
            hint="Give the vendor's name as people know it: --title 'Acme Quantum'",
        )
    return title


def _check_free(package: NewPackage) -> None:
    """That no plugin here has the name."""
    from qprovider_core._plugins import registry  # late: loads the plugins

    for info in registry().infos():
        if package.name in (info.name, info.provider):
            raise InvalidInputError(
                f"There is a plugin {package.name!r} here already.",
                why=f"It is of {info.distribution or 'this process'} and {info.status}. Two cannot have one name.",
                hint="Take another name, or uninstall that one first. See them with: qprovider plugins",
            )
    if find_spec(package.module) is not None:
        raise InvalidInputError(
            f"There is a module {package.module!r} here already.",
            why="The new plugin's package would hide it, or be hidden by it.",
            hint="Take another name.",
        )


def _there(target: Path) -> QProviderError:
    return QProviderError(
        f"{target} is there already.",
        why="Nothing is ever overwritten.",
        hint="Name another place with --directory, or move it away first.",
    )
