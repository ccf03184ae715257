"""The record of all jobs as a file. No vendor is asked, and Qiskit is not needed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from qprovider_core._lists import JobList
from qprovider_core.cli._jobs_shown import job_document
from qprovider_core.cli._results_shown import record_documents
from qprovider_core.errors import InvalidInputError
from qprovider_core.ledger import Ledger, LedgerQuery
from qprovider_core.records import JobRecord

FORMS = (".csv", ".json", ".jsonl", ".sqlite3", ".db")


def export(ledger: Ledger, path: Path, *, results: bool) -> int:
    """Write all jobs into the file, whole or not at all; returns how many there are.

    Raises:
        LedgerError: It cannot be read.
        InvalidInputError: The file cannot be written, or is the ledger itself.
    """
    if path.exists() and ledger.path.exists() and path.samefile(ledger.path):
        raise InvalidInputError(f"{path} is the ledger itself.", hint="Name another file.")
    form = path.suffix.lower()
    records = ledger.select(LedgerQuery())
    if form == ".csv":
        JobList(records).to_csv(path)
    elif form == ".json":
        JobList(records).to_json(path)
    elif form == ".jsonl":
        _write_lines(path, _lines(ledger, records, results))
    else:
        _copy(ledger, path)
    return len(records)


def _lines(ledger: Ledger, records: list[JobRecord], results: bool) -> Iterator[str]:
    for record in records:
        document = job_document(ledger.find(record.key, events=True) or record)
        if results:
            found = ledger.result(record.key) if record.has_result else None
            document["results"] = None if found is None else record_documents(found)
        yield json.dumps(document, allow_nan=False, ensure_ascii=False)


def _write_lines(path: Path, lines: Iterator[str]) -> None:
    part = _beside(path)
    try:
        with _made(part) as file:
            for line in lines:
                file.write(line + "\n")
        os.replace(part, path)
    except OSError as exc:
        raise InvalidInputError(
            f"{path} cannot be written: {exc.strerror or exc}.", hint="Name a file that you may write."
        ) from exc
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _made(path: Path) -> IO[str]:
    return open(path, "x", encoding="utf-8")


def _copy(ledger: Ledger, path: Path) -> None:
    part = _beside(path)
    try:
        ledger.copy_to(part)
        os.replace(part, path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    """A file of the same folder that is renamed once it is whole."""
    return path.with_name(f".qprovider-{os.urandom(8).hex()}.tmp")
