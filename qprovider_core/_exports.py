"""Lists and calibrations as dicts, CSV, JSON, and frames of pandas and polars, which are imported when asked for.

Every form has the same columns in the same order, also without rows. What is not known is None: an empty cell in CSV,
null in JSON, NA in pandas. Times are aware UTC. The texts in it are the vendors'.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

import attrs

from qprovider_core.errors import ConfigurationError, InvalidInputError

if TYPE_CHECKING:
    import pandas
    import polars

Kind: TypeAlias = Literal["text", "integer", "number", "flag", "time", "texts", "integers"]


class Tabular:
    """What can be had as a table: `_table` says of what, the methods in which form."""

    __slots__ = ()

    def _table(self) -> Table:
        raise NotImplementedError

    def to_dicts(self) -> list[dict[str, Any]]:
        """One dict a row: plain values, lists, and aware UTC times."""
        table = self._table()
        return [dict(zip(table.columns, map(plain, row), strict=True)) for row in table.rows]

    @overload
    def to_csv(self, path: None = None) -> str: ...
    @overload
    def to_csv(self, path: str | os.PathLike[str]) -> Path: ...
    def to_csv(self, path: str | os.PathLike[str] | None = None) -> str | Path:
        """As CSV with a head line. Lists become one text joined by ", ", times ISO 8601, truth values true and false.

        A cell without quotes that is empty is not known; ``""`` is an empty text. Control characters other than tab
        and line ends become U+FFFD; JSON has them. Texts are otherwise the vendors' own, to the letter: one that
        begins with ``=`` is a formula to a spreadsheet, so import such columns as text there.

        Args:
            path: Write it there, in UTF-8 and whole or not at all, and return the path; None: return the text.
        Raises:
            InvalidInputError: It cannot be written there.
        """
        table = self._table()
        lines = [",".join(map(_csv_cell, table.columns))]
        lines += [",".join([_csv_cell(plain(value)) for value in row]) for row in table.rows]
        text = "\n".join(lines) + "\n"
        return text if path is None else write_text(path, text)

    @overload
    def to_json(self, path: None = None) -> str: ...
    @overload
    def to_json(self, path: str | os.PathLike[str]) -> Path: ...
    def to_json(self, path: str | os.PathLike[str] | None = None) -> str | Path:
        """As one array of objects, an object a line. It is strict JSON: times are ISO 8601, infinities null.

        Args:
            path: As in `to_csv`.
        Raises:
            InvalidInputError: It cannot be written there.
        """
        table = self._table()
        lines = []
        for row in table.rows:
            values = [_json_value(plain(value)) for value in row]
            lines.append(_json_line(dict(zip(table.columns, values, strict=True))))
        text = "[\n" + ",\n".join(lines) + "\n]" if lines else "[]"
        return text if path is None else write_text(path, text + "\n")

    def to_pandas(self) -> pandas.DataFrame:
        """As a `pandas.DataFrame` of nullable types: Int64, Float64, boolean, string, datetime64[us, UTC]; lists are
        objects.

        Raises:
            ConfigurationError: pandas is not installed.
        """
        library = _library("pandas")
        return library.DataFrame({name: _series(library, *column) for name, column in _columns(self._table())})

    def to_polars(self) -> polars.DataFrame:
        """As a `polars.DataFrame`: Int64, Float64, Boolean, String, Datetime in UTC, List.

        Raises:
            ConfigurationError: polars is not installed.
        """
        pl = _library("polars")
        kinds: Mapping[Kind, Any] = {
            "text": pl.String,
            "integer": pl.Int64,
            "number": pl.Float64,
            "flag": pl.Boolean,
            "time": pl.Datetime("us", "UTC"),
            "texts": pl.List(pl.String),
            "integers": pl.List(pl.Int64),
        }
        frame: polars.DataFrame = pl.DataFrame(
            [pl.Series(name, values, dtype=kinds[kind]) for name, (kind, values) in _columns(self._table())]
        )
        return frame


@attrs.frozen(repr=False)
class Table(Tabular):
    """Rows under named columns.

    Attributes:
        columns: Name of each column, in order, and what its values are.
        rows: A value for each column.
    """

    columns: Mapping[str, Kind]
    rows: Sequence[Sequence[object]]

    def _table(self) -> Table:
        return self

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        from qprovider_core._tables import text_table  # late: it stands above the records

        return text_table(list(self.columns), self._shown()) if self.rows else f"No rows of {', '.join(self.columns)}."

    def _repr_html_(self) -> str:
        from qprovider_core._tables import html_table  # late: it stands above the records

        return html_table(list(self.columns), list(self._shown()))

    def _shown(self) -> Iterable[list[object]]:
        return ([_joined(value) if isinstance(value, list | tuple) else value for value in row] for row in self.rows)


# -- values -----------------------------------------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """A value as Python's own types. NaN is None; a text has no lone surrogates, which no encoding can hold."""
    if value is None or value is True or value is False:
        return value
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, str):
        text = str(value)
        return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return None if math.isnan(value) else float(value)
    if isinstance(value, datetime):
        return _utc(value)
    if isinstance(value, tuple | list | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {plain(str(key)): plain(item) for key, item in value.items()}
    if getattr(value, "shape", None) == () and hasattr(value, "item"):  # numpy's numbers
        return plain(value.item())
    return plain(str(value))


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:  # no guess is made
        return moment
    with suppress(OverflowError):  # at the ends of the years 1 and 9999
        return moment.astimezone(UTC)
    return moment


def _joined(values: Iterable[Any]) -> str:
    return ", ".join(_text(plain(value)) for value in values)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list):
        return _joined(value)
    return _json_line(_json_value(value)) if isinstance(value, dict) else str(value)


_STEERS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_NEEDS_QUOTES = re.compile(r'[",\r\n]|^\s|\s\Z|^\Z')


def _csv_cell(value: Any) -> str:
    if value is None:
        return ""
    text = _STEERS.sub("�", _text(value))
    return '"' + text.replace('"', '""') + '"' if _NEEDS_QUOTES.search(text) else text


def _json_value(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list):
        return [_json_value(item) for item in value]
    return {key: _json_value(item) for key, item in value.items()} if isinstance(value, dict) else value


def _json_line(value: Any) -> str:
    line = json.dumps(value, ensure_ascii=False, allow_nan=False)
    # What could steer a terminal is escaped, which loses nothing.
    return line if line.isprintable() else json.dumps(value, allow_nan=False)


# -- frames -----------------------------------------------------------------------------------------------------------


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as exc:
        missing = isinstance(exc, ModuleNotFoundError) and exc.name == name
        raise ConfigurationError(
            f"to_{name} needs {name}, which {'is not installed' if missing else 'cannot be imported'}.",
            why=None if missing else str(exc),
            hint="Install it: pip install 'qprovider-core[tables]'",
        ) from exc


def _columns(table: Table) -> list[tuple[str, tuple[Kind, list[Any]]]]:
    """The columns with their values, each of the column's kind or None."""
    found = []
    for place, (name, kind) in enumerate(table.columns.items()):
        given = [plain(row[place]) for row in table.rows]
        fitting = [value if value is None else _fitting(value, kind) for value in given]
        odd = [value for value, fits in zip(given, fitting, strict=True) if fits is None and value is not None]
        if odd:
            warnings.warn(
                f"{len(odd)} of {len(given)} values of {name} are left out, such as {repr(odd[0])[:60]}: "
                f"not a value of kind {kind!r}. to_dicts() has them.",
                RuntimeWarning,
                stacklevel=3,
            )
        found.append((name, (kind, fitting)))
    return found


def _fitting(value: Any, kind: Kind) -> Any:
    """The value where it is of that kind, else None: vendors' records are not always what they claim."""
    if kind == "text":
        return value if isinstance(value, str) else None
    if kind == "flag":
        return value if isinstance(value, bool) else None
    if kind == "time":
        return value if isinstance(value, datetime) and value.tzinfo is UTC else None
    if kind == "texts":
        return value if isinstance(value, list) and all(isinstance(item, str) for item in value) else None
    if kind == "integers":
        return value if isinstance(value, list) and all(map(_is_integer, value)) else None
    if kind == "integer":
        return value if _is_integer(value) else None
    with suppress(OverflowError):
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    return None


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


_PANDAS: Mapping[Kind, str] = {"text": "string", "integer": "Int64", "number": "Float64", "flag": "boolean"}


def _series(pandas: Any, kind: Kind, values: list[Any]) -> Any:
    if kind == "time":
        import numpy  # late: pandas has it; without pandas nobody comes here

        bare = [value.replace(tzinfo=None) if value else None for value in values]
        return pandas.Series(numpy.array(bare, dtype="datetime64[us]")).dt.tz_localize("UTC")
    return pandas.Series(values, dtype=_PANDAS.get(kind, "object"))


# -- files ------------------------------------------------------------------------------------------------------------


def write_text(path: str | os.PathLike[str], text: str) -> Path:
    """Put the text into the file in UTF-8, whole or not at all; gives the path.

    Raises:
        InvalidInputError: It cannot be written there.
    """
    try:
        name = os.fsdecode(path)
    except TypeError:
        raise InvalidInputError(
            f"A path is a text or a pathlib.Path, not a {type(path).__name__}.",
            hint="Without a path the text is returned.",
        ) from None
    target = Path(name)
    try:
        directory = name.endswith(("/", os.sep)) or target.is_dir()
        if not directory:
            _put(target, text.encode("utf-8"))
    except (OSError, ValueError) as exc:  # ValueError: a name with a NUL
        absent = isinstance(exc, FileNotFoundError)
        raise InvalidInputError(
            f"{name!r} cannot be written.",
            why=f"There is no directory {str(target.parent)!r}."
            if absent
            else getattr(exc, "strerror", None) or str(exc),
            hint="Create it, or name a file elsewhere." if absent else "Name a file that you may write.",
        ) from exc
    if directory:
        raise InvalidInputError(f"{name!r} is a directory, not a file.", hint="Name the file in it, such as table.csv.")
    return target


def _put(target: Path, data: bytes) -> None:
    if target.exists() and not target.is_file():  # a pipe or a device is written to, never replaced
        target.write_bytes(data)
        return
    final = Path(os.path.realpath(target))  # a link stays one
    temporary = final.with_name(f".qprovider-{os.urandom(8).hex()}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if final.exists():
            import shutil  # late: it loads what unpacks archives

            shutil.copymode(final, temporary)
        os.replace(temporary, final)
    finally:
        with suppress(OSError, ValueError):
            temporary.unlink(missing_ok=True)
