"""Hypothesis strategies for structure files that somebody might have: right ones, changed where files go wrong."""

import bz2
import codecs
import gzip
import lzma
from dataclasses import replace

import msgpack
import numpy as np
from hypothesis import strategies as st
from synthetic import ALL_TYPES, helix, mmcif, moved, pdb, remark_350
from test_structure_bcif import bcif

#: What stands where a number or a name is expected.
WORDS = st.one_of(
    st.sampled_from(
        ["", "0", "-0", "1", "-1", "nan", "NaN", "inf", "-inf", "1e308", "1e-320", "9999.000", "-9999.99", "99999999",
         "1.2O4", "0x10", "1_0", "1,5", "?", ".", "*****", "A000", "zzzz", "\u00c5", "\u4f60", "''", '"', ";", "#",
         "_x", "loop_", "data_", "save_", "A-2", "HOH", "UNK", "CA", "HSE", "MSE", "DA", "ACE", "\\", "\x00",
         "\x1b[31m"]
    ),
    st.integers(-(10**20), 10**20).map(str),
    st.floats(width=32).map(lambda x: f"{x:.3f}"),
    st.text(max_size=12),
)  # fmt: skip
#: First and last column of what a PDB line holds.
FIELDS = [(0, 6), (6, 11), (12, 16), (16, 17), (17, 20), (20, 22), (22, 26), (26, 27), (30, 38), (38, 46), (46, 54),
          (54, 60), (60, 66), (72, 76), (76, 78), (78, 80)]  # fmt: skip
RECORDS = st.sampled_from(
    ["TER", "END", "MODEL        1", "MODEL        x", "MODEL", "ENDMDL", "REMARK 350", "SEQRES", "HEADER", "ATOM",
     "HETATM", "SEQRES   1 A   99  MET LYS ZZZ", "TITLE     ALPHAFOLD", "ANISOU", "CONECT    1    2", "\t", "data_x",
     "\r"]
)  # fmt: skip
ENCODINGS = (*["utf-8"] * 12, "latin-1", "utf-8-sig", "utf-16", "utf-32", "cp1252")


@st.composite
def atoms(draw):
    """A protein of one to three chains, sometimes with other molecules, and in odd places."""
    sequence = draw(st.sampled_from(["MKTAYIAKQRQW", ALL_TYPES, "GG", "G", "PPPP", "WWWWWW", "CYSCYSCYS"]))
    made = helix(sequence)
    for k in range(draw(st.integers(0, 2))):
        shift = tuple(draw(st.sampled_from([0.0, 0.05, 5.0, 12.0, 1e4])) for _ in range(3))
        made += moved(helix(sequence), shift=shift, chain="ABCA "[k + draw(st.integers(0, 2))])
    if draw(st.booleans()):
        base = made[0]
        for k in range(draw(st.integers(1, 5))):
            name = draw(st.sampled_from(["HOH", "CA", "ATP", "DA", "ACE", "MSE", "UNK"]))
            xyz = tuple(draw(st.sampled_from([0.0, 1.5, 40.0])) + k for _ in range(3))
            made += (replace(base, residue=name, number=100 + k, xyz=xyz, record="HETATM"),)
    squeeze = draw(
        st.sampled_from([(1, 1, 1)] * 8 + [(0, 1, 1), (0, 0, 1), (0, 0, 0), (0.1, 0.1, 0.1), (1e3, 1, 1), (30,) * 3])
    )
    return tuple(replace(a, xyz=tuple(x * s for x, s in zip(a.xyz, squeeze, strict=True))) for a in made)


def change_lines(draw, lines, kind, at, most):
    """Leave lines out, write some twice, or cut one off: up to so many lines or letters."""
    if kind == "delete":
        del lines[at : at + draw(st.integers(1, most["delete"]))]
    elif kind == "double":
        lines[at:at] = lines[at : at + draw(st.integers(1, most["double"]))]
    else:
        lines[at] = lines[at][: draw(st.integers(0, most["cut"]))]


@st.composite
def changed_pdb(draw):
    """A PDB text of which fields, lines and records were changed."""
    lines = pdb(draw(atoms())).splitlines()
    if draw(st.booleans()):
        lines = remark_350(1, "A", ((np.eye(3), np.zeros(3)), (-np.eye(3), np.ones(3)))).splitlines() + lines
    for _ in range(draw(st.sampled_from([0, 1, 1, 2, 3, 6]))):
        at = draw(st.integers(0, max(len(lines) - 1, 0)))
        kind = draw(st.sampled_from(["field", "column", "record", "delete", "double", "cut", "models", "swap"]))
        if kind == "field":
            start, stop = draw(st.sampled_from(FIELDS))
            word = draw(WORDS)[: stop - start]
            lines[at] = lines[at].ljust(80)[:start] + word.rjust(stop - start) + lines[at].ljust(80)[stop:]
        elif kind == "column":
            start, stop = draw(st.sampled_from(FIELDS))
            word = draw(WORDS)[: stop - start].rjust(stop - start)
            lines = [line.ljust(80)[:start] + word + line.ljust(80)[stop:] for line in lines]
        elif kind == "record":
            lines.insert(at, draw(RECORDS))
        elif kind in ("delete", "double", "cut"):
            change_lines(draw, lines, kind, at, {"delete": 30, "double": 200, "cut": 80})
        elif kind == "models":
            lines = ["MODEL        1", *lines, "ENDMDL", "MODEL        2", *lines, "ENDMDL"]
        else:
            lines[at:] = reversed(lines[at:])
        lines = lines or [""]
    return draw(st.sampled_from(["\n", "\r\n", "\r", "\n\n"])).join(lines)


@st.composite
def changed_mmcif(draw):
    """An mmCIF text of which words, rows, columns and blocks were changed."""
    text = mmcif(draw(atoms()))
    lines = text.splitlines()
    for _ in range(draw(st.sampled_from([0, 1, 1, 2, 3, 6]))):
        at = draw(st.integers(0, max(len(lines) - 1, 0)))
        kind = draw(st.sampled_from(["word", "column", "insert", "delete", "double", "cut", "tag", "block"]))
        words = lines[at].split(" ")
        place = draw(st.integers(0, len(words) - 1))
        if kind == "word":
            words[place] = draw(WORDS)
            lines[at] = " ".join(words)
        elif kind == "column":
            word = draw(WORDS)
            rows = [line.split(" ") for line in lines]
            lines = [
                " ".join([*row[:place], word, *row[place + 1 :]])
                if len(row) > 5 and place < len(row)
                else " ".join(row)
                for row in rows
            ]
        elif kind == "insert":
            lines.insert(
                at, draw(st.one_of(WORDS, st.sampled_from([";", "loop_", "data_other", "save_x", "#", "_a.b c"])))
            )
        elif kind in ("delete", "double", "cut"):
            change_lines(draw, lines, kind, at, {"delete": 20, "double": 100, "cut": 60})
        elif kind == "tag":
            lines = [line.replace("auth_", draw(st.sampled_from(["label_", "x_", ""]))) for line in lines]
        else:
            lines = [*lines, *(line.replace("data_made", "data_more") for line in lines)]
        lines = lines or [""]
    return "\n".join(lines)


@st.composite
def changed_bcif(draw):
    """BinaryCIF of which a value somewhere in its tree was changed."""
    document = msgpack.unpackb(bcif(draw(atoms())))
    for _ in range(draw(st.integers(0, 3))):
        node, before, key = document, None, None
        while isinstance(node, dict | list) and node and (before is None or draw(st.integers(0, 9)) > 0):
            keys = sorted(node) if isinstance(node, dict) else range(len(node))
            before, key = node, draw(st.sampled_from(list(keys)))
            node = node[key]
        before[key] = draw(
            st.one_of(
                st.none(), st.integers(-(2**40), 2**40), st.floats(), st.binary(max_size=40), st.text(max_size=9),
                st.just([]), st.just({}), st.sampled_from(["Delta", "RunLength", "IntegerPacking", "StringArray"]),
            )
        )  # fmt: skip
    return msgpack.packb(document)


@st.composite
def encoded(draw, texts):
    """A text in some encoding."""
    return draw(texts).encode(draw(st.sampled_from(ENCODINGS)), "replace")


@st.composite
def damaged(draw, contents):
    """Bytes flipped, left out or put in."""
    content = bytearray(draw(contents))
    for _ in range(draw(st.sampled_from([0, 0, 0, 0, 1, 3]))):
        at = draw(st.integers(0, len(content)))
        kind = draw(st.sampled_from(["flip", "cut", "insert"]))
        if kind == "flip" and at < len(content):
            content[at] = draw(st.integers(0, 255))
        elif kind == "cut":
            del content[at:]
        else:
            content[at:at] = draw(st.one_of(st.binary(max_size=8), st.sampled_from([b"PK\x03\x04", codecs.BOM_UTF8])))
    return bytes(content)


@st.composite
def packed(draw, contents):
    """Compressed or not."""
    pack = draw(st.sampled_from([bytes, bytes, bytes, gzip.compress, bz2.compress, lzma.compress]))
    return pack(draw(contents))


STRANGE_FILES = damaged(packed(damaged(st.one_of(encoded(changed_pdb()), encoded(changed_mmcif()), changed_bcif()))))
