"""Directories of complexes, and the table that tells their kinds."""

import pytest
from synthetic import ALL_TYPES, helix, write

from resblock.errors import InputError
from resblock.pairs.layout import Described, complex_files, described, find_complexes, read_index

INDEX = 'code\tsource\tkind\tcluster30\n1ABC\tx\tantibody\t2DEF\n2DEF\tx\tgeneral\t2DEF\n3SHO\t"x\tgeneral\n'


@pytest.fixture
def bound_only(tmp_path):
    for role in ("receptor_bound", "ligand_bound"):
        write(tmp_path / "pool" / "1ABC" / f"{role}.pdb", helix(ALL_TYPES))
    return tmp_path / "pool"


def test_unbound_files_may_be_missing(bound_only):
    assert list(find_complexes(bound_only)) == ["1ABC"]
    files = complex_files(bound_only / "1ABC")
    assert files.unbound == (None, None)
    assert list(files.named()) == ["receptor_bound", "ligand_bound"]
    write(bound_only / "1ABC" / "ligand_unbound.pdb", helix(ALL_TYPES))
    assert list(complex_files(bound_only / "1ABC").named()) == ["ligand_unbound", "receptor_bound", "ligand_bound"]


def test_an_unbound_file_in_two_formats_is_refused(bound_only):
    for name in ("ligand_unbound.pdb", "ligand_unbound.cif"):
        write(bound_only / "1ABC" / name, helix(ALL_TYPES))
    with pytest.raises(InputError, match=r"ligand_unbound.*found ligand_unbound\.pdb, ligand_unbound\.cif"):
        complex_files(bound_only / "1ABC")


def test_an_index_tells_kind_and_cluster(tmp_path):
    (tmp_path / "index.tsv").write_text(INDEX)
    index = read_index(tmp_path / "index.tsv")
    assert described("1ABC", index) == Described("antibody", "2DEF")
    assert described("3SHO", index) == Described("general")
    assert described("1ABC", None) == Described()
    with pytest.raises(InputError, match="9XYZ: is not in the index"):
        described("9XYZ", index)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("code\tkind\n1ABC\tx\n", "has no column cluster30"),
        ("", "has no column code"),
    ],
)
def test_a_bad_index_is_refused(text, message, tmp_path):
    (tmp_path / "index.tsv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_index(tmp_path / "index.tsv")
