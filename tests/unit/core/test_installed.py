"""What is installed: read from the names of folders, and by the library where these do not tell all."""

from __future__ import annotations

import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from qprovider_core._installed import entry_points, installed_version


@pytest.fixture
def site(tmp_path, monkeypatch) -> Path:
    """A folder of the search path, before all others."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return folder


def lay(site: Path, name: str, version: str, entries: str = "") -> None:
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: x\n\nName: no\n")
    if entries:
        (info / "entry_points.txt").write_text(entries)


def names(group: str) -> set[tuple[str, str]]:
    return {(entry.name, entry.value) for entry in entry_points(group)}


@pytest.mark.parametrize("group", ["console_scripts", "pytest11", "qprovider", "qprovider.adapters", "none"])
def test_entry_points_are_those_that_the_library_finds(group) -> None:
    assert names(group) == {(entry.name, entry.value) for entry in metadata.entry_points(group=group)}


def test_versions_are_those_that_the_library_finds() -> None:
    for distribution in metadata.distributions():
        assert installed_version(distribution.name) == metadata.version(distribution.name), distribution.name
    assert installed_version("no-such-distribution") is None


@pytest.mark.parametrize("asked", ["acme-quantum", "Acme.Quantum", "acme__quantum"])
def test_a_name_may_be_written_in_many_ways(site, asked) -> None:
    lay(site, "acme-quantum", "2.1")
    assert installed_version(asked) == "2.1"


def test_the_first_on_the_search_path_counts(site) -> None:
    lay(site, "attrs", "0.1", "[qprovider.test]\nfirst = os:path\n")
    assert installed_version("attrs") == "0.1" == metadata.version("attrs")
    (entry,) = entry_points("qprovider.test")
    assert entry.load() is __import__("os").path
    assert (entry.dist.metadata["Name"], entry.dist.metadata["Version"]) == ("attrs", "0.1")


def test_what_is_installed_a_moment_later_is_found(site) -> None:
    assert installed_version("acme") is None
    lay(site, "acme", "1.0")
    assert installed_version("acme") == "1.0"


def test_a_line_that_is_none_is_named(site) -> None:
    lay(site, "acme", "1.0", "[other]\nfine = a:b\n[qprovider.test]\nno equals sign\n")
    with pytest.raises(ValueError, match=r"acme-1\.0.*'no equals sign'"):
        entry_points("qprovider.test")


@pytest.mark.parametrize("value", ["", "os path", "os:"])
def test_a_value_that_names_no_object_is_refused(site, value) -> None:
    lay(site, "acme", "1.0", f"[qprovider.test]\nbad = {value}\n")
    with pytest.raises(ValueError, match="names no object"):
        entry_points("qprovider.test")[0].load()


def test_eggs_and_archives_are_left_to_the_library(site, tmp_path, monkeypatch) -> None:
    egg = site / "old_one-3.0.egg-info"
    egg.mkdir()
    (egg / "PKG-INFO").write_text("Metadata-Version: 1.2\nName: old-one\nVersion: 3.0\n")
    (egg / "entry_points.txt").write_text("[qprovider.test]\nold = os:path\n")
    assert installed_version("old-one") == "3.0"
    assert names("qprovider.test") == {("old", "os:path")}
    (egg / "PKG-INFO").unlink()
    archive = tmp_path / "packed.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("packed-4.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: packed\nVersion: 4.0\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(archive)])
    assert installed_version("packed") == "4.0"


def test_a_finder_of_somebody_elses_is_asked_through_the_library(monkeypatch, tmp_path) -> None:
    lay(tmp_path, "frozen", "5.0")

    class Finder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            return None

        @staticmethod
        def find_distributions(context):
            return (
                iter([metadata.PathDistribution(next(tmp_path.glob("frozen*")))])
                if context.name == "frozen"
                else iter(())
            )

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    assert installed_version("frozen") == "5.0"
