"""Figure 6: the first pairs of four proteins, drawn by PyMOL from the script of `resblock predict`."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from PIL import Image, ImageChops, ImageOps

from resblock.errors import InputError
from resblock.files import write_atomically
from resblock.pairs import Complex
from resblock.prediction import Prediction, predict
from resblock.study.part import Study
from resblock.sweep.results import Cell, Result, Table
from resblock.training.config import PRESETS

VERSION: Final = 1
#: The complexes of the paper's figure.
CODES: Final = ("1H9D", "2VDB", "1GL1", "1BUH")
#: Pairs that are listed: as many as the script of a prediction shows.
SHOWN: Final = 10
#: What PyMOL may take for one picture, in seconds.
_LIMIT: Final = 300


def run(study: Study) -> Result:
    """Predict with the paper's network of the first seed, and draw where PyMOL and the structures are there."""
    if study.structures is None:
        return Result(text="Left out: no structures; give --structures BENCHMARK.", complete=False)
    files = {code: [_structure(study.structures / code, side) for side in ("receptor", "ligand")] for code in CODES}
    there = {code: [path for path in paths if path] for code, paths in files.items()}
    there = {code: paths for code, paths in there.items() if len(paths) == 2}
    if not there:
        return Result(text=f"Left out: {study.structures} has none of {', '.join(CODES)}.", complete=False)
    ensemble = study.trained("paper", PRESETS["paper"], study.seeds[0])
    known = {dimer.code: dimer for dimer in study.complexes("test")}
    viewer = shutil.which("pymol")
    rows: list[tuple[Cell, ...]] = []
    figures = []
    for code, (receptor, ligand) in there.items():
        study.progress(f"predicting and drawing {code}")
        prediction = predict(receptor, ligand, ensemble)
        directory = study.out / code
        directory.mkdir(exist_ok=True)
        prediction.save(directory)
        rows += _rows(code, prediction, known.get(code))
        if viewer is not None:
            figures.append(draw(viewer, directory / "view.pml", study.out / f"{code}.png"))
    note = (
        f"{study.about()} The paper's network, seed {study.seeds[0]}, on the unbound structures. Touch: contact area "
        "in the bound complex; - where the complex is not in the test part."
    )
    columns = ("complex", "rank", "score", "receptor", "ligand", "touch")
    missing = [code for code in CODES if code not in there]
    text = "Receptor in pale blue, ligand in pale green; sticks: the first pairs, from dark red to yellow."
    if missing:
        text += f" Left out, as their structures are not there: {', '.join(missing)}."
    if viewer is None:
        text = "Pictures left out: pymol is not installed (Debian: apt install pymol); view.pml is there for each."
    return Result(
        [Table("first_pairs", f"First {SHOWN} pairs", columns, rows=rows, note=note)],
        figures,
        text,
        complete=viewer is not None,
    )


def draw(viewer: str, script: Path, picture: Path) -> Path:
    """Run a PyMOL script without a window and save what it shows.

    Raises
    ------
    InputError
        If PyMOL fails.
    """
    whole = script.with_suffix(".png")
    whole.unlink(missing_ok=True)
    command = [
        viewer,
        "-cq",
        script.name,
        "-d",
        f"set label_size, -5; png {whole.name}, width=1800, height=1200, ray=1",
    ]
    try:
        done = subprocess.run(
            command,
            cwd=script.parent,
            env=_environment(viewer, os.environ),
            capture_output=True,
            text=True,
            timeout=_LIMIT,
            check=False,
        )
        said = done.stderr or done.stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        said = str(error)
    if not whole.is_file():
        raise InputError(f"{script}: {viewer} drew nothing ({' '.join(said.split())[-200:]})")
    _cut(whole, picture)
    whole.unlink()
    return picture


def _cut(whole: Path, picture: Path) -> None:
    """Cut away the empty border."""
    with Image.open(whole) as image:
        shown = image.convert("RGB")
    box = ImageChops.difference(shown, Image.new("RGB", shown.size, "white")).getbbox()
    cut = ImageOps.expand(shown.crop(box), border=20, fill="white")
    write_atomically(picture, lambda stream: cut.save(stream, format="PNG", optimize=True))


def _environment(viewer: str, ours: Mapping[str, str]) -> dict[str, str]:
    """An environment in which pymol, a script, finds the Python beside it and not the one that runs us."""
    path = os.pathsep.join([os.path.dirname(viewer), ours.get("PATH", "")])
    return {name: value for name, value in ours.items() if not name.startswith("PYTHON")} | {"PATH": path}


def _structure(directory: Path, side: str) -> Path | None:
    return next(iter(sorted(directory.glob(f"{side}_unbound.*"))), None)


def _rows(code: str, prediction: Prediction, dimer: Complex | None) -> list[tuple[Cell, ...]]:
    touching = _touching(dimer) if dimer is not None else None
    rows: list[tuple[Cell, ...]] = []
    for pair in prediction.ranking[:SHOWN]:
        names = [f"{r.chain} {r.name} {r.label}".strip() for r in (pair.receptor, pair.ligand)]
        touch = None if touching is None else ("yes" if (pair.receptor, pair.ligand) in touching else "no")
        rows.append((code, pair.rank, pair.score, *names, touch))
    return rows


def _touching(dimer: Complex) -> set[tuple[object, object]]:
    pairs = dimer.surface_pairs()[dimer.labels()].tolist()
    return {(dimer.receptor.residues[i], dimer.ligand.residues[j]) for i, j in pairs}
