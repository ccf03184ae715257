"""The parts of `docs/benchmarks.md` that commands write, between marks in it."""

from __future__ import annotations

from benchmarks._fresh import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"


def put(part: str, text: str) -> None:
    """Replace what stands between a part's marks.

    Raises:
        LookupError: The page has no such marks.
    """
    page = PAGE.read_text(encoding="utf-8")
    begin, end = f"<!-- begin {part} -->", f"<!-- end {part} -->"
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise LookupError(f"{PAGE} has no part {part!r}: it stands between {begin} and {end}.")
    PAGE.write_text(f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}", encoding="utf-8")
    print(f"{part}: written to {PAGE}")
