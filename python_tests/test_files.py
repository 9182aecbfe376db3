"""Bytes from and to the disk."""

import bz2
import gzip
import lzma
import os
import stat
import tracemalloc

import pytest

from resblock import files
from resblock.errors import InputError

PACK = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}


@pytest.mark.parametrize("pack", [bytes, *PACK.values()])
@pytest.mark.parametrize("name", ["x.gz", "x.pdb", "x.xz"])
def test_compression_is_told_by_the_first_bytes(name, pack, tmp_path):
    (tmp_path / name).write_bytes(pack(b"text"))
    assert files.read_bytes(tmp_path / name) == b"text"


@pytest.mark.parametrize("pack", [bytes, *PACK.values()])
def test_more_text_than_the_limit_is_refused(pack, tmp_path, monkeypatch):
    (tmp_path / "bomb").write_bytes(pack(b"\n" * (2 << 20) + b"x"))
    assert len(files.read_bytes(tmp_path / "bomb")) == (2 << 20) + 1
    monkeypatch.setenv("RESBLOCK_MAX_TEXT", "2")
    with pytest.raises(InputError, match=r"bomb: holds more than 2 MiB of text; .* set RESBLOCK_MAX_TEXT"):
        files.read_bytes(tmp_path / "bomb")
    (tmp_path / "bomb").write_bytes(pack(b"x" * (2 << 20)))
    assert len(files.read_bytes(tmp_path / "bomb")) == 2 << 20


@pytest.mark.parametrize("value", ["-1", "0", "many", "1e3", "1048576", "2000000"])
def test_a_limit_that_is_none_is_refused(value, tmp_path, monkeypatch):
    (tmp_path / "x").write_bytes(b"text")
    monkeypatch.setenv("RESBLOCK_MAX_TEXT", value)
    with pytest.raises(InputError, match=f"RESBLOCK_MAX_TEXT is '{value}'"):
        files.read_bytes(tmp_path / "x")


def test_the_largest_limit_is_a_terabyte(tmp_path, monkeypatch):
    monkeypatch.setenv("RESBLOCK_MAX_TEXT", str((1 << 20) - 1))
    assert files.max_text() == (1 << 20) - 1


def test_a_bomb_takes_no_more_memory_than_the_limit(tmp_path, monkeypatch):
    (tmp_path / "bomb").write_bytes(gzip.compress(bytes(256 << 20)))
    monkeypatch.setenv("RESBLOCK_MAX_TEXT", "8")
    tracemalloc.start()
    with pytest.raises(InputError, match="holds more than 8 MiB"):
        files.read_bytes(tmp_path / "bomb")
    assert tracemalloc.get_traced_memory()[1] < 32 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("content", [b"", b" \n\t\n", gzip.compress(b"\n", mtime=0)])
def test_nothing_but_space_is_empty(content, tmp_path):
    (tmp_path / "blank").write_bytes(content)
    with pytest.raises(InputError, match="blank: the file is empty"):
        files.read_bytes(tmp_path / "blank")


@pytest.mark.parametrize("kind", PACK)
@pytest.mark.parametrize("damage", [lambda b: b[:-9], lambda b: b[:12] + b"\xff" * 6 + b[18:], lambda b: b[:6]])
def test_damaged_compression(kind, damage, tmp_path):
    (tmp_path / "x").write_bytes(damage(PACK[kind](bytes(range(256)) * 40)))
    with pytest.raises(InputError, match=f"x: damaged {kind} file"):
        files.read_bytes(tmp_path / "x")


def test_a_path_that_cannot_be_one():
    with pytest.raises(InputError, match="cannot be read"):
        files.read_bytes("a\0b")


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_a_written_file_has_the_permissions_of_any_other(mask, tmp_path):
    before = os.umask(mask)
    try:
        files.write_atomically(tmp_path / "new" / "deeper" / "file", lambda stream: stream.write(b"content"))
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    made = tmp_path / "new" / "deeper" / "file"
    assert made.read_bytes() == b"content"
    assert stat.S_IMODE(made.stat().st_mode) == 0o666 & ~mask
    assert [path.name for path in made.parent.iterdir()] == ["file"]


def test_a_failure_leaves_what_was_there(tmp_path):
    (tmp_path / "file").write_bytes(b"old")

    def fail(stream):
        stream.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.write_atomically(tmp_path / "file", fail)
    assert (tmp_path / "file").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_is_no_text_is_refused(tmp_path):
    (tmp_path / "list").write_bytes(b"1GL1\n\xff\xfe")
    with pytest.raises(InputError, match="list: cannot be read"):
        files.read_text(tmp_path / "list")
