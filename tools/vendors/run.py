"""Runs the contract tests against real vendors' packages, each in a virtual environment of its own, and writes the
table of docs/vendors.md.

    python tools/vendors/run.py                 all of them, then the table
    python tools/vendors/run.py aqt iqm         these; their rows of the table are written anew
    python tools/vendors/run.py --quick --no-table

Environments stay in .vendors/ and are made anew when their requirements change. Needs the package index, and nobody
else: what a vendor's package can do without its service is what is run.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[2]
LISTED = Path(__file__).with_name("vendors.toml")
TABLE = ROOT / "docs" / "vendors.md"
PLACE = ROOT / ".vendors"
LIMIT_S = 1500.0  # for one of them
_BEGIN, _END = "<!-- the table is written by `make vendors` -->", "<!-- end of the table -->"
# What the adapter has for none, or for none of those in this process: the page says it once.
_OF_NONE = frozenset({"account_info", "defaults", "delete", "other_processes", "reconnecting", "sessions"})
_HEAD = "| vendor | package | what was run | passed | declared | lines | time |\n|---|---|---|---|---|---|---|\n"


def main() -> int:
    vendors = tomllib.loads(LISTED.read_text("utf-8"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(vendors)}; all when not given")
    parser.add_argument("--quick", action="store_true", help="those that every check of the project runs")
    parser.add_argument("--no-table", action="store_true", help="leave docs/vendors.md as it is")
    chosen = parser.parse_args()
    unknown = sorted({*chosen.names} - {*vendors})
    if unknown:
        parser.error(f"no such vendor: {', '.join(unknown)}; there are {', '.join(vendors)}")
    names = chosen.names or [name for name, vendor in vendors.items() if not chosen.quick or vendor.get("quick")]
    failed = []
    for name in names:
        started = time.monotonic()
        try:
            row = run(name, vendors[name])
        except subprocess.CalledProcessError as exc:
            failed.append(name)
            print(f"{name}: {exc}\n{exc.stdout or ''}{exc.stderr or ''}", file=sys.stderr, flush=True)
            continue
        except subprocess.TimeoutExpired as exc:
            failed.append(name)
            print(f"{name}: stopped after {exc.timeout:g} s", file=sys.stderr, flush=True)
            continue
        took = time.monotonic() - started
        print(f"{name}: {row['passed']} passed, declared: {row['declared'] or 'nothing'} ({took:.0f} s)", flush=True)
        if not chosen.no_table:
            write_row(name, row)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


# ------------------------------------------------------------------------------------------------ environments


def environment(name: str, vendor: Mapping[str, Any]) -> Path:
    """The interpreter of the vendor's environment, made where it is missing or of other requirements."""
    place = PLACE / name
    ours = ["-e", f"{ROOT}[testing]", "-e", str(ROOT / "plugins/qiskit")]
    if vendor.get("local"):
        ours += ["-e", str(ROOT / "plugins/local")]
    wanted = [*vendor["requirements"], *ours]
    projects = [ROOT / "pyproject.toml", *sorted(ROOT.glob("plugins/*/pyproject.toml"))]
    facts = [sys.version, *wanted, *(path.read_text("utf-8") for path in projects)]
    stamp, digest = place / "made-of", hashlib.sha256("\n".join(facts).encode()).hexdigest()
    python = place / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not (stamp.exists() and stamp.read_text("utf-8") == digest):
        print(f"{name}: installing {' '.join(vendor['requirements'])}", flush=True)
        shutil.rmtree(place, ignore_errors=True)
        quiet = ["--quiet", "--disable-pip-version-check"]
        done([sys.executable, "-m", "venv", str(place)])
        done([str(python), "-m", "pip", "install", *quiet, *wanted])
        stamp.write_text(digest, "utf-8")
    return python


def done(command: list[str], **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=LIMIT_S, **more)


# --------------------------------------------------------------------------------------------------------- runs


def run(name: str, vendor: Mapping[str, Any]) -> dict[str, Any]:
    """Run one; what the table says of it."""
    python = environment(name, vendor)
    with tempfile.TemporaryDirectory(prefix="qprovider-vendors-") as folder:
        clean = {
            key: value for key, value in os.environ.items() if not key.startswith(("QPROVIDER_", "PYTHON", "PYTEST"))
        }
        clean |= {key: str(Path(folder) / key) for key in ("HOME", "QPROVIDER_CONFIG_DIR", "QPROVIDER_DATA_DIR")}
        report = Path(folder) / "report.xml"
        started = time.monotonic()
        if "script" in vendor:
            told = done([str(python), str(ROOT / vendor["script"])], cwd=folder, env=clean)
            passed, declared = json.loads(told.stdout.splitlines()[-1])["detail"], ""
        else:
            what = (
                ["--qprovider-contract", vendor["contract"]] if "contract" in vendor else [str(ROOT / vendor["test"])]
            )
            tests = ["-q", "--tb=short", "-p", "no:cacheprovider", f"--junitxml={report}", *what]
            # Not where the project's own settings for pytest are found.
            done([str(python), "-m", "pytest", "-c", os.devnull, f"--rootdir={folder}", *tests], cwd=folder, env=clean)
            passed, declared = _read(report)
        took = time.monotonic() - started
    return {
        "title": vendor["title"],
        "package": ", ".join(_versions(python, vendor["requirements"])),
        "backends": vendor["backends"],
        "passed": passed,
        "declared": declared,
        "lines": _lines(name),
        "seconds": round(took),
    }


def _read(report: Path) -> tuple[int, str]:
    """How many checks passed, and what was declared as not possible, from pytest's report."""
    cases = list(ElementTree.parse(report).iter("testcase"))
    skipped = [case.find("skipped") for case in cases]
    reasons = Counter(str(one.get("message")) for one in skipped if one is not None)
    told = {name for reason in reasons for name in re.findall(r"supports_(\w+) = False", reason)}
    return len(cases) - sum(reasons.values()), ", ".join(one.replace("_", " ") for one in sorted(told - _OF_NONE))


def _versions(python: Path, requirements: list[str]) -> Iterator[str]:
    names = [re.split(r"[\[=<>~!; ]", one)[0] for one in requirements]
    names += [] if any(name == "qiskit" for name in names) else ["qiskit"]
    code = "import sys, importlib.metadata as m; print(*(f'{n} {m.version(n)}' for n in sys.argv[1:]), sep='\\n')"
    yield from done([str(python), "-c", code, *names]).stdout.splitlines()


def _lines(name: str) -> int | None:
    """Lines in which the adapter is told of the vendor: `CONTRACT` and `plugin` of its module."""
    module = ROOT / "plugins/qiskit/qprovider_qiskit/vendors" / f"{name}.py"
    if not module.exists():
        return None
    import ast

    tree = ast.parse(module.read_text("utf-8"))
    found = [
        node
        for node in tree.body
        if isinstance(node, ast.Assign) and {"CONTRACT", "plugin"} & {getattr(t, "id", "") for t in node.targets}
    ]
    return sum((node.end_lineno or node.lineno) - node.lineno + 1 for node in found)


# -------------------------------------------------------------------------------------------------------- table


def write_row(name: str, row: Mapping[str, Any]) -> None:
    """Write a vendor's row into the table; the others stay as they are."""
    text = TABLE.read_text("utf-8")
    before, rest = text.split(_BEGIN)
    table, after = rest.split(_END)
    rows = {line.split("|")[1].strip(): line for line in table.strip().splitlines()[2:]}
    cells = [
        row["title"], row["package"], row["backends"], row["passed"], row["declared"] or "–",
        "–" if row["lines"] is None else row["lines"], f"{row['seconds']} s",
    ]  # fmt: skip
    rows[row["title"]] = f"| {' | '.join(map(str, cells))} |"
    order = [vendor["title"] for vendor in tomllib.loads(LISTED.read_text("utf-8")).values()]
    lines = [rows[title] for title in order if title in rows]
    TABLE.write_text(f"{before}{_BEGIN}\n{_HEAD}{chr(10).join(lines)}\n{_END}{after}", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
