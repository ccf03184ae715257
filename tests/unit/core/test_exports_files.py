"""Tables written to files: whole or not at all."""

import io
import os
import stat
import threading

import pytest

from qprovider_core._exports import Table
from qprovider_core.errors import InvalidInputError

TABLE = Table(
    {"name": "text", "tags": "texts"}, [["=cmd()", ["a", "b"]], ['say "hi", he\r\nsaid\n', None], ["é日😀", []]]
)


@pytest.mark.parametrize("form", ["csv", "json"])
def test_a_file_is_written_whole_and_its_path_told(form, tmp_path):
    path = tmp_path / f"table.{form}"
    write = getattr(TABLE, f"to_{form}")
    assert write(path) == path
    assert path.read_bytes().decode() == write() + ("\n" if form == "json" else "")
    path.chmod(0o640)
    assert write(str(path)) == path
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == [path.name]


def test_a_link_stays_and_its_file_is_written(tmp_path):
    (tmp_path / "link.csv").symlink_to("real.csv")
    TABLE.to_csv(tmp_path / "link.csv")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_bytes().decode() == TABLE.to_csv()


def test_a_pipe_is_written_to_and_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes().decode()), daemon=True)
    reader.start()
    TABLE.to_csv(pipe)
    reader.join(10)
    assert read == [TABLE.to_csv()]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("", r"is a directory, not a file.\nName the file in it"),
        ("new/", r"is a directory, not a file"),
        ("absent/t.csv", r"cannot be written.\nThere is no directory '.*absent'.\nCreate it"),
        ("a\0b", r"cannot be written.\nembedded null"),
        ("x" * 300, r"cannot be written.\nFile name too long"),
        ("file/t.csv", r"cannot be written.\nNot a directory"),
    ],
)
@pytest.mark.parametrize("form", ["to_csv", "to_json"])
def test_what_cannot_be_written_is_told(form, name, told, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInputError, match=told):
        getattr(TABLE, form)(f"{tmp_path}/{name}")
    assert os.listdir(tmp_path) == ["file"]


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(InvalidInputError, match="No space left"):
        TABLE.to_csv(path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["t.csv"]


@pytest.mark.parametrize("path", [7, io.StringIO(), ["a"]])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(InvalidInputError, match="Without a path the text is returned"):
        TABLE.to_csv(path)
