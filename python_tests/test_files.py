"""Bytes from and to the disk."""

import gzip
import os
import stat

import pytest

from resblock import files
from resblock.errors import InputError


def test_gzip_is_told_by_its_first_bytes(tmp_path):
    for name, content in (("plain.gz", b"text"), ("packed.pdb", gzip.compress(b"text"))):
        (tmp_path / name).write_bytes(content)
        assert files.read_bytes(tmp_path / name) == b"text"


@pytest.mark.parametrize("content", [b"", b" \n\t\n", gzip.compress(b"\n", mtime=0)])
def test_nothing_but_space_is_empty(content, tmp_path):
    (tmp_path / "blank").write_bytes(content)
    with pytest.raises(InputError, match="blank: the file is empty"):
        files.read_bytes(tmp_path / "blank")


@pytest.mark.parametrize("damage", [lambda b: b[:-9], lambda b: b[:12] + b"\xff" * 6 + b[18:], lambda b: b[:3]])
def test_damaged_gzip(damage, tmp_path):
    (tmp_path / "x").write_bytes(damage(gzip.compress(bytes(range(256)) * 40)))
    with pytest.raises(InputError, match="x: damaged gzip file"):
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
