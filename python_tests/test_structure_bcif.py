"""BinaryCIF: every encoding of its specification, against what was encoded and against Biopython's reader."""

import gzip
import warnings

import msgpack
import numpy as np
import pytest
from Bio.PDB.binary_cif import BinaryCIFParser
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import helix, mmcif, moved

from resblock.errors import InputError
from resblock.structure import bcif as reader
from resblock.structure import read_partner
from resblock.structure.bcif import MAX_ROWS

SEQUENCE = "MKTAYIAKQRQW"
ATOMS = len(helix(SEQUENCE))
PACKED = {"kind": "IntegerPacking", "byteCount": 1, "isUnsigned": False, "srcSize": 0}
CODES = {"<i1": 1, "<i2": 2, "<i4": 3, "<u1": 4, "<u2": 5, "<u4": 6, "<f4": 32, "<f8": 33}


def raw(values, dtype):
    return {
        "data": np.asarray(values).astype(dtype).tobytes(),
        "encoding": [{"kind": "ByteArray", "type": CODES[dtype]}],
    }


def then(data, *encodings):
    """Encodings that were done before the bytes were written."""
    return {"data": data["data"], "encoding": [*encodings, *data["encoding"]]}


def fixed_point(values):
    return then(
        raw(np.round(np.array(values) * 1000), "<i4"), {"kind": "FixedPoint", "factor": 1000, "srcType": 33}
    )  # fmt: skip


def delta_of_runs(values):
    """Integers as runs of equal differences."""
    steps = np.diff(values, prepend=values[0])
    starts = np.flatnonzero(np.append(True, steps[1:] != steps[:-1]))
    runs = np.column_stack([steps[starts], np.diff(np.append(starts, len(steps)))]).ravel()
    return then(
        raw(runs, "<i4"),
        {"kind": "Delta", "origin": int(values[0]), "srcType": 3},
        {"kind": "RunLength", "srcType": 3, "srcSize": len(values)},
    )


def packed(values, dtype):
    """Integers in a smaller type: its limits say that the next value belongs to the same number."""
    limits, out = np.iinfo(dtype), []
    for value in values:
        rest = int(value)
        while rest >= limits.max or (limits.min < 0 and rest <= limits.min):
            limit = limits.max if rest > 0 else limits.min
            out.append(limit)
            rest -= limit
        out.append(rest)
    encoding = {
        "kind": "IntegerPacking",
        "byteCount": np.dtype(dtype).itemsize,
        "isUnsigned": limits.min == 0,
        "srcSize": len(values),
    }
    return then(raw(out, dtype), encoding)


def strings(values):
    words = list(dict.fromkeys(values))
    indices, offsets = raw([words.index(v) for v in values], "<i4"), raw(np.cumsum([0, *map(len, words)]), "<i4")
    return {
        "data": indices["data"],
        "encoding": [
            {
                "kind": "StringArray",
                "dataEncoding": indices["encoding"],
                "stringData": "".join(words),
                "offsetEncoding": offsets["encoding"],
                "offsets": offsets["data"],
            }
        ],
    }


def column(name, data, mask=None):
    return {"name": name, "data": data, "mask": mask}


def document(categories):
    blocks = [
        {
            "header": "MADE",
            "categories": [
                {"name": name, "rowCount": rows, "columns": columns} for name, (rows, columns) in categories.items()
            ],
        }
    ]
    return msgpack.packb({"version": "0.3.0", "encoder": "test", "dataBlocks": blocks})


def integers(values):
    return {"delta": delta_of_runs, "signed": lambda v: packed(v, "<i1"), "plain": lambda v: raw(v, "<i4")}, values


def bcif(atoms, *, numbers=delta_of_runs, places=fixed_point):
    rows = len(atoms)
    texts = {
        "group_PDB": [a.record for a in atoms],
        "type_symbol": [a.element for a in atoms],
        "label_atom_id": [a.name for a in atoms],
        "label_comp_id": [a.residue for a in atoms],
        "label_asym_id": [f"Z{a.chain}" for a in atoms],
        "auth_asym_id": [a.chain for a in atoms],
        "label_alt_id": ["" for a in atoms],
        "pdbx_PDB_ins_code": ["" for a in atoms],
    }
    columns = [
        column(name, strings(values), raw([0 if value else 1 for value in values], "<u1"))
        for name, values in texts.items()
    ]
    columns += [
        column("id", delta_of_runs(np.arange(1, rows + 1))),
        column("auth_seq_id", numbers(np.array([a.number for a in atoms]))),
        column("label_seq_id", numbers(np.array([a.number for a in atoms]))),
        column("pdbx_PDB_model_num", packed(np.ones(rows), "<u1")),
        column("occupancy", raw([a.occupancy for a in atoms], "<f4")),
        column("B_iso_or_equiv", raw([0.0] * rows, "<f8")),
        *(column(f"Cartn_{axis}", places([a.xyz[k] for a in atoms])) for k, axis in enumerate("xyz")),
    ]
    return document({"_entry": (1, [column("id", strings(["MADE"]))]), "_atom_site": (rows, columns)})


def read(tmp_path, content, name="x.bcif"):
    (tmp_path / name).write_bytes(content)
    return read_partner(tmp_path / name)


@pytest.mark.parametrize(
    "numbers",
    [delta_of_runs, lambda v: packed(v, "<i1"), lambda v: packed(v, "<u1"), lambda v: packed(v, "<i2"),
     lambda v: raw(v, "<i4")],
    ids=["delta and runs", "signed bytes", "unsigned bytes", "short", "plain"],
)  # fmt: skip
@pytest.mark.parametrize("places", [fixed_point, lambda v: raw(v, "<f8"), lambda v: raw(v, "<f4")])
@pytest.mark.parametrize("name", ["x.bcif", "x.txt"])
def test_it_reads_what_mmcif_reads(tmp_path, numbers, places, name):
    atoms = helix(SEQUENCE, start=250)
    partner = read(tmp_path, bcif(atoms, numbers=numbers, places=places), name)
    (tmp_path / "x.cif").write_text(mmcif(atoms))
    same = read_partner(tmp_path / "x.cif")
    assert partner.residues == same.residues
    np.testing.assert_array_equal(partner.coordinates, same.coordinates)
    assert partner.format == "mmcif"


def test_biopython_reads_the_same(tmp_path):
    atoms = helix(SEQUENCE, start=-3)
    path = tmp_path / "x.bcif.gz"
    path.write_bytes(gzip.compress(bcif(atoms, numbers=lambda v: packed(v, "<i2"))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = list(BinaryCIFParser().get_structure("x", str(path)).get_atoms())
    ours = read_partner(path)
    assert list(ours.atom_names) == [atom.get_name() for atom in theirs]
    np.testing.assert_allclose(ours.coordinates, [atom.coord for atom in theirs], atol=1e-5)


def test_quantised_intervals_lie_between_their_ends(tmp_path):
    """By the specification step k of n stands for min + k (max - min) / (n - 1)."""
    encoding = {"kind": "IntervalQuantization", "min": -50.0, "max": 50.0, "numSteps": 100_001, "srcType": 32}

    def places(values):
        return then(raw(np.round((np.array(values) + 50.0) * 1000), "<i4"), encoding)

    partner = read(tmp_path, bcif(helix(SEQUENCE), places=places))
    np.testing.assert_allclose(partner.coordinates, [a.xyz for a in helix(SEQUENCE)], atol=1e-9)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda d: d["dataBlocks"][0]["categories"][1].update(rowCount=3), "values for 3 rows"),
        (lambda d: d["dataBlocks"][0]["categories"][1].update(rowCount=MAX_ROWS + 1), "at most"),
        (lambda d: d["dataBlocks"][0]["categories"].pop(1), "no atoms found"),
        (lambda d: d["dataBlocks"][0].pop("categories"), "categories"),
        (lambda d: columns(d)["auth_seq_id"]["data"]["encoding"][1].update(srcSize=10**12), "run lengths"),
        (lambda d: columns(d)["auth_seq_id"]["data"]["encoding"][1].update(srcSize=ATOMS - 1), "run lengths"),
        (lambda d: columns(d)["auth_seq_id"].update(data=runs([1, ATOMS + 1, 1, -1], ATOMS)), "run lengths"),
        (lambda d: columns(d)["auth_seq_id"].update(data=runs([1, MAX_ROWS + 1], MAX_ROWS + 1)), "run lengths"),
        (lambda d: columns(d)["Cartn_x"]["data"]["encoding"][0].update(kind="Unheard"), "Unheard"),
        (lambda d: columns(d)["Cartn_x"]["data"].update(data=b"123"), "buffer"),
        (lambda d: columns(d)["pdbx_PDB_model_num"]["data"]["encoding"][0].update(srcSize=1), "packed"),
        (lambda d: columns(d)["auth_asym_id"]["data"].update(data=raw([1] * ATOMS, "<i4")["data"]), "that are not"),
        (lambda d: columns(d)["auth_asym_id"]["data"].update(data=raw([-2] * ATOMS, "<i4")["data"]), "that are not"),
        (lambda d: columns(d)["auth_seq_id"].update(data=then(raw([127], "<i1"), PACKED)), "packed integers end"),
    ],
)
def test_what_is_damaged_is_refused(tmp_path, change, reason):
    whole = msgpack.unpackb(bcif(helix(SEQUENCE)))
    change(whole)
    with pytest.raises(InputError, match=reason) as raised:
        read(tmp_path, msgpack.packb(whole))
    assert str(raised.value).startswith(f"{tmp_path}/x.bcif: ")


def test_as_much_is_read_as_the_limit_allows(tmp_path, monkeypatch):
    """Rows, runs, and strings of 64 bytes a row."""
    assert MAX_ROWS == 5_000_000
    monkeypatch.setattr(reader, "MAX_ROWS", ATOMS)
    whole = msgpack.unpackb(bcif(helix(SEQUENCE)))
    columns(whole)["label_asym_id"].update(data=strings(["A" * 16] * ATOMS))
    assert len(read(tmp_path, msgpack.packb(whole))) == len(SEQUENCE)
    columns(whole)["label_asym_id"].update(data=strings(["A" * 17] * ATOMS))
    with pytest.raises(InputError, match="strings too long"):
        read(tmp_path, msgpack.packb(whole))


def runs(values_and_counts, size):
    return then(raw(values_and_counts, "<i4"), {"kind": "RunLength", "srcType": 3, "srcSize": size})


def columns(document):
    return {column["name"]: column for column in document["dataBlocks"][0]["categories"][1]["columns"]}


def test_a_string_may_be_absent_and_a_value_masked(tmp_path):
    """Index -1 names no string; a mask says that a value is there (0), does not apply (1) or is unknown (2)."""
    whole = msgpack.unpackb(bcif(helix(SEQUENCE)))
    residues = [a.number for a in helix(SEQUENCE)]
    codes = strings(["X"] * ATOMS)
    codes["data"] = raw([-1 if number == 1 else 0 for number in residues], "<i4")["data"]
    mask = raw([{5: 1, 6: 2}.get(number, 0) for number in residues], "<u1")
    columns(whole)["pdbx_PDB_ins_code"].update(data=codes, mask=mask)
    partner = read(tmp_path, msgpack.packb(whole))
    assert [r.label for r in partner.residues] == ["1", "2X", "3X", "4X", "5", "6", *(f"{k}X" for k in range(7, 13))]


def test_a_run_may_be_empty(tmp_path):
    whole = msgpack.unpackb(bcif(helix(SEQUENCE)))
    columns(whole)["pdbx_PDB_model_num"].update(data=runs([7, 0, 3, ATOMS], ATOMS))
    assert read(tmp_path, msgpack.packb(whole)).remarks == ("model 3, one of 1",)


@pytest.mark.parametrize("dtype", CODES)
def test_numbers_of_every_type_are_read(tmp_path, dtype):
    """Places in quarters of an Angstrom, of which a byte holds 128 or 256."""
    atoms = moved(helix(SEQUENCE), shift=(30.0, 30.0, 30.0)) if dtype[1] == "u" else helix(SEQUENCE)
    quarters = {"kind": "FixedPoint", "factor": 4, "srcType": 33}
    places = 4.0 * np.array([a.xyz for a in atoms])
    partner = read(tmp_path, bcif(atoms, places=lambda x: then(raw(np.round(4.0 * np.array(x)), dtype), quarters)))
    np.testing.assert_array_equal(partner.coordinates, np.round(places) / 4.0)


def test_half_a_file_is_refused(tmp_path):
    whole = bcif(helix(SEQUENCE))
    with pytest.raises(InputError, match="damaged BinaryCIF"):
        read(tmp_path, whole[: len(whole) // 2])


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_changed_bytes_are_read_or_refused(tmp_path_factory, data):
    content = bytearray(bcif(helix("MKTA")))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(1, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "changed.bcif"
    path.write_bytes(bytes(content))
    try:
        read_partner(path)
    except InputError as error:
        assert str(error).startswith(str(path))  # noqa: PT017  either outcome is right
