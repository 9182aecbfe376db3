"""Two workers on a PostgreSQL database, one of them killed: the sweep ends complete, every trial done once."""

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


def test_a_killed_workers_trial_is_done_by_the_other(postgresql, tmp_path, run):
    data = save_complexes(tmp_path / "data", 6)
    settings = ("--set", "optimisation.epochs=2", "--set", "data.validation_pairs=40")

    def command(out, *options):
        grid = ("--layers", "2,4", "--units", "4", "--seeds", "1,2")
        return "sweep", data, "--out", tmp_path / out, *options, *grid, *settings

    shared = ("--storage", postgresql, "--heartbeat", "1")

    def worker(out):
        return subprocess.Popen(
            [sys.executable, "-m", "resblock", *command(out, *shared)],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,  # not the source tree, which would hide the installed package
        )

    killed, survivor = worker("killed"), worker("survivor")
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

    url = postgresql.replace("postgresql:", "postgresql+psycopg:")
    (name,) = [name for name in optuna.get_all_study_names(url) if name.startswith("resblock-")]
    trials = optuna.load_study(study_name=name, storage=url).trials
    done = Counter(tuple(sorted(trial.params.items())) for trial in trials if trial.state.name == "COMPLETE")
    assert done == {(("model.hidden_size", 4), ("model.num_layers", n), ("seed", s)): 1 for n in (2, 4) for s in (1, 2)}
    (lost,) = [trial for trial in trials if trial.state.name == "FAIL"]
    (again,) = [
        trial
        for trial in trials
        if trial.state.name == "COMPLETE"
        and trial.number > lost.number
        and trial.user_attrs[PLACE] == lost.user_attrs[PLACE]
    ]
    assert again.params == {**lost.params, **again.params}

    # Started again, the killed worker finds everything done and lays out the same.
    status, _, errors = run(*command("killed", *shared))
    assert status == 0, errors
    assert "4 of 4 trials are done" in errors
    assert "training" not in errors
    # One worker alone, undisturbed and with a database of its own, finds the same.
    status, _, errors = run(*command("alone"))
    assert status == 0, errors
    killed, survivor, alone = (
        {path: content for path, content in contents(tmp_path / out).items() if "/" not in path and path != "sweep.db"}
        for out in ("killed", "survivor", "alone")
    )
    assert killed == survivor == alone
    assert {"by_num_layers.csv", "settings.md", "trials.csv", "sweep_dimers.svg"} <= set(alone)
