"""Writes the files of this directory: python python_tests/edge_cases/make.py"""

import gzip
import sys
from dataclasses import replace
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from synthetic import Atom, helix, mmcif, moved, pdb, pdb_line  # noqa: E402

SEQUENCE = "MKTAYIAKQRHW"


def edited(atoms, change):
    """Atoms after `change`, which returns a changed atom, the same atom or None."""
    return tuple(new for atom in atoms if (new := change(atom)) is not None)


def at(atom, number, name=None):
    return atom.number == number and name in (None, atom.name)


def made():
    """Content by file name."""
    base = helix(SEQUENCE)
    water = Atom("O", "HOH", "A", 301, (30.0, 0.0, 0.0), "O", record="HETATM")
    calcium = Atom("CA", "CA", "A", 302, (32.0, 0.0, 0.0), "CA", record="HETATM")
    glycine = moved(helix("GG"), shift=(40.0, 0.0, 0.0))
    free_glycine = tuple(replace(a, record="HETATM", number=303) for a in glycine if a.number == 1)
    hydrogen = Atom("HA", "MET", "A", 1, (0.5, 0.5, 0.9), "H")
    second = moved(base, shift=(0.0, 30.0, 0.0), chain="B")
    lines = pdb(base).splitlines()
    cif = mmcif(base)
    blank = [pdb_line(k, replace(a, chain=" ")) for k, a in enumerate(base, start=1)]
    legacy = [f"{line[:66]}      1ABC{k % 10000:4d}" for k, line in enumerate(blank, start=1)]
    legacy.insert(len(legacy) // 2, "END")

    def selenomethionine(atom):
        if not at(atom, 1):
            return atom
        element, name = ("SE", "SE") if atom.name == "SD" else (atom.element, atom.name)
        return replace(atom, residue="MSE", record="HETATM", element=element, name=name)

    def alternatives(atom):
        if at(atom, 2, "NZ"):
            return replace(atom, alternative="A", occupancy=0.3)
        return atom

    other_nz = next(replace(a, alternative="B", occupancy=0.7) for a in base if at(a, 2, "NZ"))
    other_nz = replace(other_nz, xyz=(9.0, 9.0, 9.0))
    inserted = {5: (4, "A"), 6: (4, "B")}

    def insertion_codes(atom):
        if atom.number in inserted:
            number, code = inserted[atom.number]
            return replace(atom, number=number, insertion_code=code)
        return replace(atom, number=atom.number - 3)

    bad = next(k for k, atom in enumerate(base) if at(atom, 7, "CB"))
    xyz = slice(30, 54)

    def with_coordinates(text):
        return "\n".join([*lines[:bad], lines[bad][:30] + text + lines[bad][54:], *lines[bad + 1 :]])

    files = {
        "empty.pdb": "",
        "not_a_structure.pdb": "Dear reviewer,\nplease find enclosed the structure.\n",
        "truncated.pdb": "\n".join(lines[:40]) + "\n" + lines[40][:37],
        "truncated.cif": cif[: int(len(cif) * 0.6)].rsplit(" ", 6)[0],
        "header_only.cif": "data_1ABC\n#\n_entry.id 1ABC\n",
        "letters_in_coordinates.pdb": with_coordinates("   1.2O4   3.000   4.000"),
        "letters_in_residue_number.pdb": "\n".join([*lines[:9], lines[9][:22] + " 1O " + lines[9][26:], *lines[10:]]),
        "nan.pdb": with_coordinates(f"{'nan':>8}{'nan':>8}{'nan':>8}"),
        "placeholder.pdb": with_coordinates("9999.0009999.0009999.000"),
        "twin_atoms.pdb": "\n".join(
            [*lines[:bad], lines[bad][:30] + lines[bad - 1][xyz] + lines[bad][54:], *lines[bad + 1 :]]
        ),
        "waters_only.pdb": pdb([water, replace(water, number=304, xyz=(33.0, 5.0, 0.0))]),
        "one_residue.pdb": pdb([a for a in base if a.number == 1]),
        "alpha_trace.pdb": pdb([a for a in base if a.name == "CA"]),
        "same_chain_twice.pdb": pdb(base + moved(helix(SEQUENCE[::-1]), shift=(0.0, 30.0, 0.0))),
        "missing_side_chains.pdb": pdb([a for a in base if a.name in ("N", "CA", "C", "O", "CB") or a.number < 4]),
        "unknown_residues.pdb": pdb(edited(base, lambda a: replace(a, residue="XYZ") if a.number == 6 else a)),
        "selenomethionine.pdb": pdb(edited(base, selenomethionine)),
        "alternative_locations.pdb": pdb((*edited(base, alternatives), other_nz)),
        "insertion_codes.pdb": pdb(edited(base, insertion_codes)),
        "insertion_codes.cif": mmcif(edited(base, insertion_codes)),
        "ligands_and_waters.pdb": pdb((hydrogen, *base, water, calcium, *free_glycine)),
        "two_models.pdb": "MODEL        1\n"
        + pdb(base).replace("END\n", "ENDMDL\n")
        + "MODEL        2\n"
        + pdb(second).replace("END\n", "ENDMDL\nEND\n"),
        "two_chains.pdb": pdb(base + second),
        "legacy_columns.pdb": "\n".join([*legacy, "END", ""]),
        "gap.pdb": pdb([a for a in base if a.number != 6]),
    }
    content = {name: text.encode() for name, text in files.items()}
    content["not_text.pdb"] = bytes(range(256)) * 4
    # mtime=0, so that the bytes are the same every time.
    content["truncated.pdb.gz"] = gzip.compress(pdb(base).encode(), mtime=0)[:500]
    return content


if __name__ == "__main__":
    for name, content in made().items():
        (HERE / name).write_bytes(content)
