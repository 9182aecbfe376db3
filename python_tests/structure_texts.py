"""What the tests of the reader share: texts of structure files, and residues in short."""

from dataclasses import replace

from synthetic import helix, mmcif, pdb

SEQUENCE = "MKTAYIAKQRQW"
NAMES = ["MET", "LYS", "THR", "ALA", "TYR", "ILE", "ALA", "LYS", "GLN", "ARG", "GLN", "TRP"]


def residues(partner):
    return [f"{r.chain} {r.label} {r.name}" for r in partner.residues]


def expected(chain="A", names=NAMES, start=1):
    return [f"{chain} {start + k} {name}" for k, name in enumerate(names)]


def ion(number, name="CA", xyz=(40.0, 0.0, 0.0), record="HETATM", chain="A"):
    base = helix("A")[0]
    return replace(base, name=name, residue=name, number=number, xyz=xyz, element=name, record=record, chain=chain)


def renamed(atoms, number, name, **changes):
    return tuple(replace(a, residue=name, **changes) if a.number == number else a for a in atoms)


def joined(*texts):
    """Atom lines of several texts, one after the other."""
    return "\n".join(line for text in texts for line in text.splitlines() if line[:6] in ("ATOM  ", "HETATM"))


def in_columns(text, place, word, which=lambda line: True):
    """A PDB text with a word from a column on, in lines of atoms."""
    return "\n".join(
        line[:place] + word + line[place + len(word) :] if line[:4] in ("ATOM", "HETA") and which(line) else line
        for line in text.splitlines()
    )


def frames(*models, model=True, end="ENDMDL"):
    return "\n".join(
        "\n".join(([f"MODEL     {k:4d}"] if model else []) + [joined(pdb(atoms)), end])
        for k, atoms in enumerate(models, start=1)
    )


def mmcif_models(*models):
    head, _, _ = mmcif(models[0]).partition("ATOM")
    rows = [
        line.rsplit(" ", 1)[0] + f" {k}"
        for k, atoms in enumerate(models, start=1)
        for line in mmcif(atoms).splitlines()
        if line.startswith("ATOM")
    ]
    return head + "\n".join(rows) + "\n"
