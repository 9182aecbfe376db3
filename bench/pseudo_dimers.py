"""How pseudo-dimers compare with real dimers, of prepared directories: `python bench/pseudo_dimers.py REAL PSEUDO`.

A row is the 10th percentile, the median and the 90th percentile over dimers; pseudo-dimers come a second and third time
as the shallower and the deeper half of the cuts, by contacts over the geometric mean of the parts' sizes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from resblock.pairs import PSEUDO_DIMER, Complex, load_complex

#: Kyte-Doolittle hydropathy from which on a residue counts as hydrophobic: A, M, C, F, L, V, I.
HYDROPHOBIC = 1.8
ROWS = (
    "residues of the larger part",
    "residues of the smaller part",
    "smaller over larger part",
    "pairs in contact",
    "contacts over root of sizes",
    "share of residues in the interface",
    "hydropathy of the interface",
    "hydropathy of other surface",
    "hydrophobic share of the interface",
)


def measured(dimer: Complex) -> list[float]:
    """One number for each of `ROWS`."""
    assert dimer.contact_area is not None
    touching = dimer.contact_area > 0
    in_interface = np.concatenate([touching.any(axis=1), touching.any(axis=0)])
    hydropathy = np.concatenate([partner.columns(["HI-KD"])[:, 0] for partner in dimer.partners])
    surface = np.concatenate([partner.surface for partner in dimer.partners])
    sizes = sorted(map(len, dimer.partners))
    return [
        sizes[1],
        sizes[0],
        sizes[0] / sizes[1],
        touching.sum(),
        touching.sum() / np.sqrt(sizes[0] * sizes[1]),
        in_interface.mean(),
        hydropathy[in_interface].mean(),
        hydropathy[surface & ~in_interface].mean(),
        (hydropathy[in_interface] >= HYDROPHOBIC).mean(),
    ]


def table(dimers: Iterable[Complex]) -> np.ndarray:
    """(N, rows) of those that touch."""
    return np.array([measured(one) for one in dimers if one.contact_area is not None and (one.contact_area > 0).any()])


def main(real: Path, pseudo: Path) -> None:
    """Print a Markdown table."""
    whole = (one for one in map(load_complex, sorted(real.glob("*.npz"))) if one.is_dimer and not one.origin)
    cut = table(one for one in map(load_complex, sorted(pseudo.glob("*.npz"))) if one.kind == PSEUDO_DIMER)
    depth = cut[:, ROWS.index("contacts over root of sizes")]
    shallow = depth <= np.median(depth)
    columns = {
        "real dimers": table(whole),
        "pseudo-dimers": cut,
        "few contacts for their size": cut[shallow],
        "many": cut[~shallow],
    }
    print("| | " + " | ".join(f"{name} ({len(values)})" for name, values in columns.items()) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for row, name in enumerate(ROWS):
        cells = [
            " / ".join(f"{value:.3g}" for value in np.percentile(values[:, row], (10, 50, 90)))
            for values in columns.values()
        ]
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
