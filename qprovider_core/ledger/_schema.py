"""The ledger's tables, and how a file of an older schema is brought to this one.

Times are whole microseconds since 1970, UTC. A place is an account's backend: few of them for many jobs, so that
texts as long as an instance's CRN are kept once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress

APPLICATION_ID = 0x71706A6C  # "qpjl", so that no other SQLite file is taken for a ledger

# `jobs_listed` holds all that a listing filters by, newest last: to read it through to its end takes some ms for
# 100,000 jobs, whatever is asked, and to look at the jobs themselves ten times as long.
_FIRST = """
CREATE TABLE places (
    id INTEGER PRIMARY KEY,
    provider TEXT NOT NULL,
    account TEXT NOT NULL,
    instance TEXT NOT NULL,
    backend TEXT NOT NULL,
    UNIQUE (provider, account, instance, backend)
);
CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    place INTEGER NOT NULL,
    job_id TEXT,
    state TEXT NOT NULL,
    final INTEGER NOT NULL,
    name TEXT,
    note TEXT,
    tags TEXT,
    shots INTEGER,
    num_circuits INTEGER,
    error TEXT,
    created INTEGER NOT NULL,
    written INTEGER NOT NULL,
    sent INTEGER,
    updated INTEGER NOT NULL,
    started INTEGER,
    ended INTEGER,
    attempts INTEGER NOT NULL DEFAULT 0,
    process_bound INTEGER NOT NULL DEFAULT 0,
    owner TEXT,
    rerun_of TEXT,
    calibration INTEGER,
    session TEXT,
    options TEXT,
    more TEXT
);
CREATE INDEX jobs_listed ON jobs (created, seq, place, state, final, name, tags);
CREATE INDEX jobs_id ON jobs (job_id) WHERE job_id IS NOT NULL;
CREATE INDEX jobs_name ON jobs (name) WHERE name IS NOT NULL;
CREATE INDEX jobs_session ON jobs (session) WHERE session IS NOT NULL;
CREATE INDEX jobs_open ON jobs (seq) WHERE final = 0;
CREATE TABLE tags (
    tag TEXT NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (tag, seq)
) WITHOUT ROWID;
CREATE INDEX tags_seq ON tags (seq);
CREATE TABLE events (
    seq INTEGER NOT NULL,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    what TEXT NOT NULL,
    text TEXT,
    PRIMARY KEY (seq, number)
) WITHOUT ROWID;
CREATE TABLE requests (
    seq INTEGER PRIMARY KEY,
    request BLOB NOT NULL,
    circuits BLOB
);
CREATE TABLE results (
    seq INTEGER PRIMARY KEY,
    result BLOB NOT NULL
);
CREATE TABLE calibrations (
    id INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    document BLOB NOT NULL
);
CREATE TABLE contexts (
    seq INTEGER PRIMARY KEY,
    backend BLOB
);
"""

# Each turns a file of the schema before it into the next one, within one transaction. A step that was once released
# is never changed: another one follows it.
STEPS: Sequence[str] = (_FIRST,)


def version_of(connection: sqlite3.Connection) -> int:
    """The schema of an open file; 0 for an empty one."""
    number: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return number


def kind_of(connection: sqlite3.Connection) -> tuple[int, bool]:
    """The schema of an open file, and whether it is a ledger's or empty, as of one moment."""
    connection.execute("BEGIN")
    try:
        version = version_of(connection)
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    finally:
        with suppress(sqlite3.Error):
            connection.execute("COMMIT")
    return version, application == APPLICATION_ID or not (application or version or tables)


def bring_up(connection: sqlite3.Connection, steps: Sequence[str], keep: Callable[[int], None]) -> None:
    """Bring an older or empty file to the newest schema, whole or not at all. Of several processes one does.

    Args:
        keep: Called with the older schema before anything is changed, when nobody else can write any more.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        older = version_of(connection)
        if 0 < older < len(steps):
            keep(older)
        for number in range(older, len(steps)):
            for statement in steps[number].split(";\n"):
                if statement.strip():
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number + 1}")
        if older < len(steps):
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # a full disk has rolled it back already
            connection.execute("ROLLBACK")
        raise
