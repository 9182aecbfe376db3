"""Several workers on one database, one of them killed: the sweep ends complete, every trial done once."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import optuna
import pytest
from command_line import contents
from made_complexes import save_complexes
from programs import skip_or_fail

from resblock.cli import main
from resblock.sweep.space import SEED, Choices, cells
from resblock.sweep.trials import PLACE, Trials


def server_program(name):
    """Debian keeps the server's programs outside the PATH."""
    found = [shutil.which(name), *sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)]
    return next((str(path) for path in found if path), None)


@pytest.fixture(scope="module")
def postgresql():
    """URL of a database of an own server, which listens on a socket in its directory only."""
    initdb, pg_ctl = server_program("initdb"), server_program("pg_ctl")
    if initdb is None or pg_ctl is None:
        skip_or_fail("POSTGRESQL", "no PostgreSQL server here; install Debian's package postgresql to have it")
    # Not under tmp_path: the path of a socket must be short, and another user must reach it.
    directory = Path(tempfile.mkdtemp(prefix="resblock-"))
    other_user = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        shutil.chown(directory, "nobody")
        other_user = {"user": "nobody"}

    def server(*command):
        subprocess.run(command, check=True, cwd=directory, stdout=subprocess.DEVNULL, timeout=60, **other_user)

    cluster = directory / "cluster"
    try:
        server(initdb, "-D", cluster, "-U", "resblock", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        options = f"-k {directory} -c listen_addresses= -c fsync=off"
        server(pg_ctl, "-D", cluster, "-o", options, "-l", directory / "log", "-w", "start")
        try:
            yield f"postgresql://resblock@/postgres?host={directory}"
        finally:
            server(pg_ctl, "-D", cluster, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(directory)


def test_each_cell_is_done_once_by_several_workers(postgresql):
    axes = {"model.num_layers": Choices((2, 4, 6)), SEED: Choices((1, 2))}
    grid = list(cells({"model.num_layers": Choices((2, 4, 6))}, (1, 2)))
    did = []

    def work(cell):
        did.append(dict(cell))
        time.sleep(0.02)
        return 1.0, None

    def trials():
        return Trials(url=postgresql, name="test", definition={}, axes=axes, queue=grid)

    def worker():
        trials().work(work)

    workers = [threading.Thread(target=worker) for _ in range(3)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    assert [done.cell for done in trials().done()] == grid
    assert sorted(map(str, did)) == sorted(map(str, grid))


GRID = ("--layers", "2,4", "--units", "4", "--seeds", "1,2")
SETTINGS = ("--set", "optimisation.epochs=2", "--set", "data.validation_pairs=40")


def written(directory):
    """Tables and figures: what is not in a directory of its own, and no database."""
    files = contents(directory).items()
    return {path: content for path, content in files if "/" not in path and not path.startswith("sweep.db")}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return save_complexes(tmp_path_factory.mktemp("data"), 6)


@pytest.fixture(scope="module")
def alone(data, tmp_path_factory):
    """What one worker writes that nobody disturbs."""
    out = tmp_path_factory.mktemp("alone")
    with pytest.raises(SystemExit) as left:
        main(["sweep", str(data), "--out", str(out), *GRID, *SETTINGS])
    assert left.value.code == 0
    assert {"by_num_layers.csv", "settings.md", "trials.csv", "sweep_dimers.svg"} <= set(written(out))
    return written(out)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_killed_workers_trial_is_done_by_the_other(database, data, alone, tmp_path, run, request):
    """Two workers in one directory on SQLite, or with a directory each on PostgreSQL."""
    if database == "sqlite":
        url, options, outs = f"sqlite:///{tmp_path}/together/sweep.db", (), ("together", "together")
    else:
        storage = request.getfixturevalue("postgresql")
        url, options = storage.replace("postgresql:", "postgresql+psycopg:"), ("--storage", storage)
        outs = ("killed", "survivor")

    def command(out):
        return "sweep", data, "--out", tmp_path / out, *options, "--heartbeat", "1", *GRID, *SETTINGS

    def worker(out):
        return subprocess.Popen(
            [sys.executable, "-m", "resblock", *map(str, command(out))],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,  # not the source tree, which would hide the installed package
        )

    killed, survivor = map(worker, outs)
    try:
        line = next((line for line in killed.stderr if line.startswith("training")), None)
        assert line is not None, "the first worker began no trial"
        killed.send_signal(signal.SIGKILL)
        printed, errors = survivor.communicate(timeout=300)
    finally:
        for process in (killed, survivor):
            process.kill()
            process.communicate()
    assert survivor.returncode == 0, errors
    assert "4 trials, the whole grid" in printed

    (name,) = [name for name in optuna.get_all_study_names(url) if name.startswith("resblock-")]
    trials = optuna.load_study(study_name=name, storage=url).trials
    done = Counter(tuple(sorted(trial.params.items())) for trial in trials if trial.state.name == "COMPLETE")
    assert done == {(("model.hidden_size", 4), ("model.num_layers", n), ("seed", s)): 1 for n in (2, 4) for s in (1, 2)}
    (lost,) = [trial for trial in trials if trial.state.name == "FAIL"]
    # Both workers may have queued every place before either began: the surplus trial of a place is pruned.
    (again,) = [
        trial
        for trial in trials
        if trial.user_attrs.get(PLACE) == lost.user_attrs[PLACE] and trial.state.name not in ("FAIL", "PRUNED")
    ]
    assert again.state.name == "COMPLETE"
    assert again.number > lost.number

    # Started again, the killed worker finds everything done and lays out the same.
    status, _, errors = run(*command(outs[0]))
    assert status == 0, errors
    assert "4 of 4 trials are done" in errors
    assert "training" not in errors
    for out in outs:
        assert written(tmp_path / out) == alone
