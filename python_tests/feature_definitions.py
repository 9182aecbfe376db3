"""The features of a residue as docs/features.md defines them: loops, no speed, and nothing of the package's arithmetic.

Only what a file holds is taken from a partner. Given besides: PROPKA's pKa, and the tessellation's areas.
"""

import math

import numpy as np

TYPES = ("ALA", "ARG", "ASN", "ASP", "CYS", "GLN", "GLU", "GLY", "HIS", "ILE",
         "LEU", "LYS", "MET", "PHE", "PRO", "SER", "THR", "TRP", "TYR", "VAL")  # fmt: skip
# In the order of TYPES; the sources are in docs/features.md.
REFERENCE_AREA = dict(zip(TYPES, [107.95, 238.76, 143.94, 140.39, 134.28, 178.50, 172.25, 80.10, 182.88, 175.12,
                                  178.63, 200.81, 194.15, 199.48, 136.13, 116.50, 139.27, 249.36, 212.76, 151.44],
                          strict=True))  # fmt: skip
EISENBERG = dict(zip(TYPES, [0.62, -2.53, -0.78, -0.90, 0.29, -0.85, -0.74, 0.48, -0.40, 1.38,
                             1.06, -1.50, 0.64, 1.19, 0.12, -0.18, -0.05, 0.81, 0.26, 1.08], strict=True))  # fmt: skip
KYTE_DOOLITTLE = dict(zip(TYPES, [1.8, -4.5, -3.5, -3.5, 2.5, -3.5, -3.5, -0.4, -3.2, 4.5,
                                  3.8, -3.9, 1.9, 2.8, -1.6, -0.8, -0.7, -0.9, -1.3, 4.2], strict=True))  # fmt: skip
MODEL_PKA = {"ASP": 3.8, "GLU": 4.5, "HIS": 6.5, "CYS": 9.0, "TYR": 10.0, "LYS": 10.5, "ARG": 12.5}
CHARGE = {"ARG": 1.0, "LYS": 1.0, "ASP": -1.0, "GLU": -1.0, "HIS": 0.24}
STICKY = ("PHE", "TRP", "TYR", "MET", "ILE", "LEU", "VAL", "HIS")
SP2 = {
    "ARG": "CZ", "ASN": "CG", "ASP": "CG", "GLN": "CD", "GLU": "CD", "HIS": "CG CD2 CE1",
    "PHE": "CG CD1 CD2 CE1 CE2 CZ", "TYR": "CG CD1 CD2 CE1 CE2 CZ", "TRP": "CG CD1 CD2 CE2 CE3 CZ2 CZ3 CH2",
}  # fmt: skip
RADII = {"C": 1.87, "N": 1.65, "O": 1.40, "S": 1.85, "SE": 1.90, "P": 1.80, "F": 1.47, "CL": 1.75, "BR": 1.85,
         "I": 1.98}  # fmt: skip
NINE = ("IC", "EC", "EV", "AESA", "RESA", "HI-E", "HI-KD", "pKa-model", "pKa-PROPKA")


def cut(value):
    return min(max(value, 0.0), 1.0)


def near(distance, radius):
    return cut(0.5 + (radius - distance) / 2.0)


def length(vector):
    return math.sqrt(float(np.dot(vector, vector)))


def unit(vector):
    return vector / length(vector)


def radius(parent, atom, element):
    if element == "C" and (atom == "C" or atom in SP2.get(parent, "").split()):
        return 1.76
    if (parent, atom) == ("LYS", "NZ"):
        return 1.50
    return RADII.get(element, 1.80)


class Atoms:
    """What a file says of a partner, residue by residue."""

    def __init__(self, partner):
        self.parents = [residue.parent for residue in partner.residues]
        self.chains = [residue.chain for residue in partner.residues]
        self.size = len(self.parents)
        self.owner = [int(k) for k in partner.atom_residue]
        self.xyz = [np.array(row, dtype=np.float64) for row in partner.coordinates.tolist()]
        self.radii = [
            radius(self.parents[k], name, element)
            for k, name, element in zip(self.owner, partner.atom_names, partner.elements, strict=True)
        ]
        self.atoms = [[a for a, k in enumerate(self.owner) if k == here] for here in range(self.size)]
        self.named = [{partner.atom_names[a]: self.xyz[a] for a in atoms} for atoms in self.atoms]
        self.positions = [sum(self.xyz[a] for a in atoms) / len(atoms) for atoms in self.atoms]
        self.centre = sum(self.positions) / self.size
        self.bonded = [False, *(self._bonded(k) for k in range(1, self.size))]

    def _bonded(self, k):
        """Whether a residue is bonded to the one before it."""
        before, here = self.named[k - 1], self.named[k]
        if self.chains[k - 1] != self.chains[k]:
            return False
        if "C" in before and "N" in here:
            return length(before["C"] - here["N"]) <= 2.0
        return length(before["CA"] - here["CA"]) <= 4.5

    def distance(self, k, other):
        return length(self.positions[k] - self.positions[other])

    def side(self, k):
        """The side chain's direction."""
        if not {"N", "CA", "C"} <= self.named[k].keys():
            return np.zeros(3)
        b = self.named[k]["CA"] - self.named[k]["N"]
        c = self.named[k]["C"] - self.named[k]["CA"]
        return unit(-0.58273431 * np.cross(b, c) + 0.56802827 * b - 0.54067466 * c)


def torsion(a, b, c, d):
    """The IUPAC angle of four atoms: right-handed turns are positive."""
    first, second = np.cross(b - a, c - b), np.cross(c - b, d - c)
    size = math.acos(max(-1.0, min(1.0, float(unit(first) @ unit(second)))))
    return math.copysign(size, float(first @ (d - c)))


def torsion_columns(atoms):
    rows = []
    for k in range(atoms.size):
        row = [0.0, 0.0, 0.0, 0.0]
        here = atoms.named[k]
        complete = {"N", "CA", "C"} <= here.keys()
        if complete and atoms.bonded[k] and "C" in atoms.named[k - 1]:
            phi = torsion(atoms.named[k - 1]["C"], here["N"], here["CA"], here["C"])
            row[:2] = math.sin(phi), math.cos(phi)
        if complete and k + 1 < atoms.size and atoms.bonded[k + 1] and "N" in atoms.named[k + 1]:
            psi = torsion(here["N"], here["CA"], here["C"], atoms.named[k + 1]["N"])
            row[2:] = math.sin(psi), math.cos(psi)
        rows.append(row)
    return rows


def secondary_columns(atoms):
    def close(k, step, ideal, tolerance):
        if k + step >= atoms.size or not all(atoms.bonded[k + 1 : k + step + 1]):
            return 0.0
        distance = length(atoms.named[k + step]["CA"] - atoms.named[k]["CA"])
        return cut(2.5 - 2.0 * abs(distance - ideal) / tolerance)

    helix = [close(k, 3, 5.3, 0.7) * close(k, 4, 6.4, 0.9) for k in range(atoms.size)]
    strand = [close(k, 2, 6.7, 0.6) * close(k, 3, 9.9, 0.9) * close(k, 4, 12.4, 1.1) for k in range(atoms.size)]
    rows = []
    for k in range(atoms.size):
        in_helix = max(helix[max(k - 4, 0) : k + 1])
        in_strand = max(strand[max(k - 4, 0) : k + 1]) * (1.0 - in_helix)
        rows.append([in_helix, in_strand, 1.0 - in_helix - in_strand])
    return rows


def end_columns(atoms):
    rows = []
    for k, chain in enumerate(atoms.chains):
        members = [other for other, name in enumerate(atoms.chains) if name == chain]
        rows.append([math.exp(-(k - members[0]) / 5.0), math.exp(-(members[-1] - k) / 5.0)])
    return rows


def half_spheres(atoms, k, reach):
    up = down = 0.0
    alpha, side = atoms.named[k]["CA"], atoms.side(k)
    for other in range(atoms.size):
        if other != k:
            way = atoms.named[other]["CA"] - alpha
            above = cut(0.5 + float(side @ way) / 2.0)
            up += near(length(way), reach) * above
            down += near(length(way), reach) * (1.0 - above)
    return up, down


def protrusion_columns(atoms):
    sphere = 4.0 / 3.0 * math.pi * 10.0**3
    xyz = np.array(atoms.xyz)
    rows = []
    for members in atoms.atoms:
        values = []
        for a in members:
            count = sum(near(d, 10.0) for d in np.sqrt(((xyz - xyz[a]) ** 2).sum(axis=1)).tolist())
            values.append(sphere / (count * 20.1) - 1.0)
        rows.append([sum(values) / len(values), max(values)])
    return rows


def offset(atoms, k, reach):
    """A residue's position less the mean position around it."""
    weights = [near(atoms.distance(k, other), reach) for other in range(atoms.size)]
    mean = sum(w * x for w, x in zip(weights, atoms.positions, strict=True)) / sum(weights)
    return atoms.positions[k] - mean


def convexity(atoms, k, reach):
    stands_out = offset(atoms, k, reach)
    outward = unit(atoms.positions[k] - atoms.centre)
    return length(stands_out), float(stands_out @ outward), float(stands_out @ atoms.side(k))


def exposed_weights(atoms, table, k, reach):
    exposed = [min(max(row["RESA"] / 10.0, 0.02), 1.0) for row in table]
    return [near(atoms.distance(k, other), reach) * exposed[other] for other in range(atoms.size)]


def flatness(atoms, table, k, reach):
    weights = exposed_weights(atoms, table, k, reach)
    mean = sum(w * x for w, x in zip(weights, atoms.positions, strict=True)) / sum(weights)
    covariance = np.zeros((3, 3))
    for weight, position in zip(weights, atoms.positions, strict=True):
        covariance += weight / sum(weights) * np.outer(position - mean, position - mean)
    narrow, _, wide = np.sqrt(np.maximum(np.linalg.eigvalsh(covariance), 0.0))
    o = offset(atoms, k, 14.0)
    normal = o / math.sqrt(float(o @ o) + 1.0)
    return narrow, narrow / (wide + 1.0), float((mean - atoms.positions[k]) @ normal)


def areas(atoms, contacts, accessible):
    """IC, EC, EV and AESA of every residue, from the contacts (atom, atom, area) of the tessellation."""
    rows = [dict.fromkeys(("IC", "EC", "EV", "AESA"), 0.0) for _ in range(atoms.size)]
    for a, b, area in contacts:
        one, other = atoms.owner[a], atoms.owner[b]
        if one == other:
            rows[one]["IC"] += 2.0 * area
            continue
        gap = length(atoms.xyz[a] - atoms.xyz[b]) - atoms.radii[a] - atoms.radii[b]
        touching = cut(0.5 + (1.0 - gap) / 0.4)
        for row in (rows[one], rows[other]):
            row["EC"] += touching * area
            row["EV"] += (1.0 - touching) * area
    for a, area in enumerate(accessible):
        rows[atoms.owner[a]]["AESA"] += area
    return rows


def extended_table(partner, contacts, accessible, propka):
    """Every feature of every residue: a dictionary by name for each.

    Parameters
    ----------
    partner
        N residues.
    contacts, accessible
        (atom, atom, area) of each contact and the accessible area of each atom, of spheres of `Atoms.radii`.
    propka
        N pKa values, NaN where nothing titrates.
    """
    atoms = Atoms(partner)
    table = areas(atoms, contacts, accessible)
    for row, parent, pka in zip(table, atoms.parents, propka, strict=True):
        row["RESA"] = 100.0 * row["AESA"] / REFERENCE_AREA.get(parent, 107.95)
        row["HI-E"], row["HI-KD"] = EISENBERG.get(parent, 0.0), KYTE_DOOLITTLE.get(parent, 0.0)
        row["pKa-model"], row["pKa-PROPKA"] = MODEL_PKA.get(parent, math.nan), float(pka)
        row.update({f"is {name}": float(parent == name) for name in TYPES})
    for names, columns in (
        (("sin phi", "cos phi", "sin psi", "cos psi"), torsion_columns(atoms)),
        (("helix", "strand", "coil"), secondary_columns(atoms)),
        (("near N-terminus", "near C-terminus"), end_columns(atoms)),
        (("protrusion mean", "protrusion max"), protrusion_columns(atoms)),
    ):
        for row, values in zip(table, columns, strict=True):
            row.update(zip(names, values, strict=True))
    _shape(atoms, table)
    _surroundings(atoms, table)
    return table


def _shape(atoms, table):
    total = sum(row["AESA"] for row in table)
    from_centre = [length(position - atoms.centre) for position in atoms.positions]
    gyration = math.sqrt(sum(d * d for d in from_centre) / atoms.size)
    for k, row in enumerate(table):
        for reach in (6, 8, 10, 12, 14, 18):
            others = [other for other in range(atoms.size) if other != k]
            row[f"neighbours {reach}"] = sum(near(atoms.distance(k, other), reach) for other in others)
        for reach in (10, 13, 16):
            row[f"half sphere up {reach}"], row[f"half sphere down {reach}"] = half_spheres(atoms, k, reach)
        for reach in (8, 10, 14, 20, 28):
            for part, value in zip(("length", "outward", "side"), convexity(atoms, k, reach), strict=True):
                row[f"convexity {part} {reach}"] = value
        for reach in (10, 14):
            for part, value in zip(("spread", "ratio", "height"), flatness(atoms, table, k, reach), strict=True):
                row[f"flatness {part} {reach}"] = value
        row["log residues"], row["root total AESA"] = math.log(atoms.size), math.sqrt(total)
        row["gyration radius"], row["relative distance"] = gyration, from_centre[k] / gyration


def _surroundings(atoms, table):
    def known(row, name):
        return 7.0 if math.isnan(row[name]) else row[name]

    of_type = (*(f"is {name}" for name in TYPES), "helix", "strand", "coil")
    charge = [
        CHARGE.get(parent, 0.0) * min(row["RESA"] / 100.0, 1.0)
        for parent, row in zip(atoms.parents, table, strict=True)
    ]
    for k, row in enumerate(table):
        for reach, names in ((6, NINE), (10, (*NINE, *of_type)), (14, NINE)):
            weights = exposed_weights(atoms, table, k, reach)
            for name in names:
                values = [w * known(other, name) for w, other in zip(weights, table, strict=True)]
                row[f"mean {name} {reach}"] = sum(values) / sum(weights)
        for reach in (8, 12, 16):
            sums = dict.fromkeys(("AESA", "apolar AESA", "sticky AESA", "net charge", "charges"), 0.0)
            for other, there in enumerate(table):
                share = near(atoms.distance(k, other), reach)
                sums["AESA"] += share * there["AESA"]
                sums["apolar AESA"] += share * there["AESA"] * max(there["HI-KD"], 0.0) / 4.5
                sums["sticky AESA"] += share * there["AESA"] * (atoms.parents[other] in STICKY)
                sums["net charge"] += share * charge[other]
                sums["charges"] += share * abs(charge[other])
            row.update({f"patch {name} {reach}": value for name, value in sums.items()})
