"""Changes the protein side in many small ways, one at a time, and lists the changes that no test notices.

    python python_tests/mutation.py --count 400 --seed 7 --out mutants.md

Mutants are those of cosmic-ray (the extra `dev`); mutation.toml names the modules and the tests of each. A place in the
code is drawn by chance, and one of its mutants. Left out is what changes no result: annotations, decorators, messages.
The tests run in copies of the repository, so the files of this one stay as they are.
"""

import argparse
import ast
import importlib
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import pytest
from cosmic_ray.commands import init
from cosmic_ray.config import load_config
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import WorkDB, use_db

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

REPOSITORY = Path(__file__).resolve().parents[1]
CONFIG = REPOSITORY / "python_tests" / "mutation.toml"
#: Keywords that hold for every correct program: of dataclasses and of zip.
ASSURANCES = ("frozen", "strict")
#: Tests run in forks of this process, which has imported what takes long; never the package itself.
FORK = multiprocessing.get_context("fork")
IMPORTED = (
    "Bio.PDB",
    "hypothesis",
    "propka.run",
    "scipy.stats",
    "sklearn.linear_model",
    "sklearn.metrics",
    "torch",
    "typer",
)
#: Exit status of pytest: a failed test, and an error while tests are collected, which a mutant may cause as well.
NOTICED = (1, 2, 3)


def mutants(paths):
    """All mutants of these modules that can change a result, by their place in the code."""
    with tempfile.TemporaryDirectory() as directory, use_db(str(Path(directory) / "db"), WorkDB.Mode.create) as db:
        init(paths, db, {})
        found = [mutation for item in db.work_items for mutation in item.mutations]
    silent = {path: _silent(path) for path in {mutation.module_path for mutation in found}}
    places = defaultdict(list)
    for mutation in found:
        if mutation.operator_name.endswith("RemoveDecorator"):
            continue
        if not any(start <= mutation.start_pos <= end for start, end in silent[mutation.module_path]):
            kind = mutation.operator_name.partition("_")[0]
            places[str(mutation.module_path), mutation.start_pos, mutation.end_pos, kind].append(mutation)
    return places


def _silent(path):
    """First and last position of annotations, messages, what is raised, and assurances."""
    parts = []
    for node in ast.walk(ast.parse(Path(path).read_text())):
        parts += [getattr(node, "annotation", None), getattr(node, "returns", None)]
        parts += [node] if isinstance(node, (ast.Raise, ast.JoinedStr)) else []
        parts += [node.value] if isinstance(node, ast.keyword) and node.arg in ASSURANCES else []
    return [((p.lineno, p.col_offset), (p.end_lineno, p.end_col_offset)) for p in parts if p is not None]


def tests_of(path, table):
    """Test files of a module: those of the longest prefix."""
    prefix = max((prefix for prefix in table if str(path).startswith(prefix)), key=len)
    return [f"python_tests/{name}.py" for name in table[prefix]]


def copy(directory):
    """The files that git tracks or would, and the compiled module."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY, check=True, capture_output=True, text=True,
    )  # fmt: skip
    compiled = [str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / "resblock").glob("_C*")]
    for name in (*listed.stdout.splitlines(), *compiled):
        if (REPOSITORY / name).is_file():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, directory / name)
    return directory


def status(directory, tests, limit):
    """Exit status of these tests in a copy; None beyond the time limit."""
    process = FORK.Process(target=_run, args=(directory, tests))
    process.start()
    process.join(limit)
    if process.exitcode is None:
        process.kill()
        process.join()
        return None
    return process.exitcode


def _run(directory, tests):
    os.chdir(directory)
    os.environ.update(PYTHONPATH=str(directory), OMP_NUM_THREADS="1")
    sys.path.insert(0, str(directory))
    # A byte-code file of another mutant of the same size and second would pass for this one's.
    sys.dont_write_bytecode = True
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    os._exit(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0", *tests]))


def changed_line(before, after):
    """The first line in which two texts differ, of each."""
    pairs = zip(before.splitlines(), after.splitlines(), strict=False)
    return next((old.strip(), new.strip()) for old, new in pairs if old != new)


def reason(old, new, known):
    """Why a mutant cannot be noticed, by mutation.toml; empty where it could be."""
    return next((entry["reason"] for entry in known if entry["line"] == old and entry.get("mutant", new) == new), "")


def examine(directory, mutation, settings):
    """(noticed, place, old line, new line) of one mutant, tried in a copy."""
    target = directory / mutation.module_path
    before = target.read_text()
    after = mutate_code(before, get_operator(mutation.operator_name)(**mutation.operator_args), mutation.occurrence)
    target.write_text(after)
    try:
        ended = status(directory, tests_of(mutation.module_path, settings["tests"]), settings["cosmic-ray"]["timeout"])
    finally:
        target.write_text(before)
    if ended not in (0, None, *NOTICED):
        raise SystemExit(f"{mutation.module_path}: pytest ended with {ended}; do its tests exist?")
    place = f"{mutation.module_path}:{mutation.start_pos[0]}"
    return ended != 0, place, *changed_line(before, after)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=400, help="mutants to draw")
    parser.add_argument("--seed", type=int, default=0, help="of the draw; take a new one after tests were written")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="mutants tried at a time")
    parser.add_argument("--out", type=Path, required=True, help="table of the mutants that no test noticed")
    parser.add_argument("modules", nargs="*", help="files or folders; those of mutation.toml without")
    arguments = parser.parse_args()

    for name in IMPORTED:
        importlib.import_module(name)
    os.chdir(REPOSITORY)
    settings = tomllib.loads(CONFIG.read_text())
    roots = arguments.modules or load_config(CONFIG)["module-path"]
    paths = [p for root in map(Path, roots) for p in (sorted(root.rglob("*.py")) if root.is_dir() else [root])]
    places = mutants(paths)
    generator = random.Random(arguments.seed)
    drawn = [
        generator.choice(places[key]) for key in generator.sample(sorted(places), min(arguments.count, len(places)))
    ]

    with tempfile.TemporaryDirectory() as top:
        copies = SimpleQueue()
        for number in range(arguments.jobs):
            copies.put(copy(Path(top) / str(number)))

        def with_copy(work, *given):
            directory = copies.get()
            try:
                return work(directory, *given)
            finally:
                copies.put(directory)

        def fails(test):
            return with_copy(status, [test], None) != 0

        survivors = []
        with ThreadPoolExecutor(arguments.jobs) as pool:
            tests = sorted({test for mutant in drawn for test in tests_of(mutant.module_path, settings["tests"])})
            failing = [test for test, failed in zip(tests, pool.map(fails, tests), strict=True) if failed]
            if failing:
                raise SystemExit(f"{', '.join(failing)}: fail without a mutant; run them first")
            tried = pool.map(lambda mutant: with_copy(examine, mutant, settings), drawn)
            for number, (noticed, *row) in enumerate(tried, start=1):
                if not noticed:
                    survivors.append((*row, reason(*row[1:], settings["unnoticeable"])))
                    print(f"{number}/{len(drawn)}:", *survivors[-1], sep="\n    ", file=sys.stderr)
    equivalent = sum(row[-1] != "" for row in survivors)
    share = (len(drawn) - len(survivors)) / (len(drawn) - equivalent)
    title = (
        f"{len(drawn)} mutants of {len(places)} places, seed {arguments.seed}: "
        f"{len(survivors)} not noticed, {equivalent} of them for a reason; {share:.1%} of the others noticed"
    )
    rows = [f"| {place} | `{old}` | `{new}` | {why} |" for place, old, new, why in sorted(survivors)]
    head = ["| place | line | mutant | reason |", "|---|---|---|---|"]
    arguments.out.write_text("\n".join([title, "", *head, *rows, ""]))
    print(title)


if __name__ == "__main__":
    main()
