"""Changes the protein side in many small ways, one at a time, and lists the changes that no test notices.

    python python_tests/mutation.py --count 400 --seed 7 --out mutants.md

Mutants are those of cosmic-ray (the extra `dev`); mutation.toml names the modules and the tests of each. A place in the
code is drawn by chance, and one of its mutants. Left out is what changes no result: annotations, decorators, messages.
The tests run in copies of the repository, so the files of this one stay as they are. What was found stands in a file
beside the table (.jsonl), line by line: the same command goes on where it was interrupted.
"""

import argparse
import ast
import importlib
import itertools
import json
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import SimpleQueue

import pytest
from cosmic_ray.commands import init
from cosmic_ray.config import load_config
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import WorkDB, use_db
from rich.progress import track

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


def mutants(paths):
    """All mutants of these modules that can change a result, by their place in the code."""
    with tempfile.TemporaryDirectory() as directory, use_db(str(Path(directory) / "db"), WorkDB.Mode.create) as db:
        init(paths, db, {})
        found = [mutation for item in db.work_items for mutation in item.mutations]
    silent = {path: _silent(path) for path in {mutation.module_path for mutation in found}}
    places = defaultdict(list)
    for mutation in found:
        if mutation.operator_name.endswith("RemoveDecorator") or not _is_possible(mutation):
            continue
        if not any(start <= mutation.start_pos <= end for start, end in silent[mutation.module_path]):
            kind = mutation.operator_name.partition("_")[0]
            places[str(mutation.module_path), mutation.start_pos, mutation.end_pos, kind].append(mutation)
    return places


def _is_possible(mutation):
    """Whether cosmic-ray can make this change: it puts no other exception in the place of one with a dotted name."""
    line = Path(mutation.module_path).read_text().splitlines()[mutation.start_pos[0] - 1]
    return not (mutation.operator_name.endswith("ExceptionReplacer") and "." in line)


def _silent(path):
    """First and last position of annotations, messages, what is raised, and assurances."""
    parts = []
    for node in ast.walk(ast.parse(Path(path).read_text())):
        parts += [getattr(node, "annotation", None), getattr(node, "returns", None), *_only_for_messages(node)]
        parts += [node] if isinstance(node, ast.JoinedStr) else []
        parts += [node.value] if isinstance(node, ast.keyword) and node.arg in ASSURANCES else []
    return [((p.lineno, p.col_offset), (p.end_lineno, p.end_col_offset)) for p in parts if p is not None]


def _only_for_messages(node):
    """What a block ends with if that raises or returns an error, and the assignments with nothing between."""
    for block in (getattr(node, name, None) for name in ("body", "orelse", "finalbody")):
        if isinstance(block, list) and block and _makes_error(block[-1]):
            yield block[-1]
            yield from itertools.takewhile(lambda one: isinstance(one, ast.Assign), reversed(block[:-1]))


def _makes_error(statement):
    if not isinstance(statement, ast.Return):
        return isinstance(statement, ast.Raise)
    made = getattr(statement.value, "func", None)
    return isinstance(made, ast.Name) and made.id == "InputError"


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
    # In this process, which has imported what takes long: workers of pytest's own would import it anew.
    os._exit(pytest.main(["-x", "-q", "-n", "0", "-p", "no:cacheprovider", "--hypothesis-seed=0", *tests]))


def changed_line(before, after):
    """The first line in which two texts differ, of each."""
    pairs = zip(before.splitlines(), after.splitlines(), strict=False)
    return next((old.strip(), new.strip()) for old, new in pairs if old != new)


def reason(old, new, known):
    """Why a mutant cannot be noticed, by mutation.toml; empty where it could be."""
    fits = (e for e in known if e.get("line", old) == old and e.get("mutant", new) == new and e.get("part", "") in new)
    return next((entry["reason"] for entry in fits), "")


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
    place = f"{mutation.module_path}:{mutation.start_pos[0]}"
    return ended != 0, place, *changed_line(before, after)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=400, help="mutants to draw")
    parser.add_argument("--seed", type=int, default=0, help="of the draw; take a new one after tests were written")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="mutants tried at a time")
    parser.add_argument("--out", type=Path, required=True, help="table of the mutants that no test noticed")
    parser.add_argument("modules", nargs="*", help="files or folders; those of mutation.toml without")
    return parser.parse_args()


def draw(arguments, roots):
    """`count` places by chance, one mutant of each, and the number of places there are."""
    paths = [p for root in map(Path, roots) for p in (sorted(root.rglob("*.py")) if root.is_dir() else [root])]
    places = mutants(paths)
    generator = random.Random(arguments.seed)
    keys = generator.sample(sorted(places), min(arguments.count, len(places)))
    return [generator.choice(places[key]) for key in keys], len(places)


def known_results(path, arguments):
    """Results of an interrupted run, by number."""
    if not path.exists():
        return {}
    head, *lines = map(json.loads, path.read_text().splitlines())
    if head != [arguments.count, arguments.seed]:
        raise SystemExit(f"{path} is of --count {head[0]} --seed {head[1]}: remove it, or name another --out")
    return {number: row for number, *row in lines}


def try_all(drawn, settings, jobs, found, record):
    """Try the mutants that `found` lacks, each in one of the copies; record(number, result) as they come."""
    with tempfile.TemporaryDirectory() as top, ThreadPoolExecutor(jobs) as pool:
        copies = SimpleQueue()
        for number in range(jobs):
            copies.put(copy(Path(top) / str(number)))

        def with_copy(work, *given):
            directory = copies.get()
            try:
                return work(directory, *given)
            finally:
                copies.put(directory)

        left = {number: mutant for number, mutant in enumerate(drawn) if number not in found}
        tests = sorted({test for m in left.values() for test in tests_of(m.module_path, settings["tests"])})
        failed = pool.map(lambda test: with_copy(status, [test], None) != 0, tests)
        if failing := [test for test, wrong in zip(tests, failed, strict=True) if wrong]:
            raise SystemExit(f"{', '.join(failing)}: fail without a mutant; run them first")
        tried = {pool.submit(with_copy, examine, mutant, settings): number for number, mutant in left.items()}
        try:
            for future in track(as_completed(tried), total=len(tried), description="mutants"):
                record(tried[future], future.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def table(arguments, places, rows, known):
    """What was found, as a page."""
    survivors = [(place, old, new, reason(old, new, known)) for noticed, place, old, new in rows if not noticed]
    equivalent = sum(why != "" for *_, why in survivors)
    share = (len(rows) - len(survivors)) / (len(rows) - equivalent)
    title = (
        f"{len(rows)} mutants of {places} places, seed {arguments.seed}: "
        f"{len(survivors)} not noticed, {equivalent} of them for a reason; {share:.1%} of the others noticed"
    )
    lines = [f"| {place} | `{old}` | `{new}` | {why} |" for place, old, new, why in sorted(survivors)]
    return "\n".join([title, "", "| place | line | mutant | reason |", "|---|---|---|---|", *lines, ""])


def main():
    arguments = parse()
    for name in IMPORTED:
        importlib.import_module(name)
    os.chdir(REPOSITORY)
    settings = tomllib.loads(CONFIG.read_text())
    drawn, places = draw(arguments, arguments.modules or load_config(CONFIG)["module-path"])
    results = arguments.out.with_suffix(".jsonl")
    found = known_results(results, arguments)
    with results.open("a") as file:

        def record(number, row):
            found[number] = row
            print(json.dumps([number, *row]), file=file, flush=True)

        if file.tell() == 0:
            print(json.dumps([arguments.count, arguments.seed]), file=file, flush=True)
        try_all(drawn, settings, arguments.jobs, found, record)
    page = table(arguments, places, found.values(), settings["unnoticeable"])
    arguments.out.write_text(page)
    print(page.partition("\n")[0])


if __name__ == "__main__":
    main()
