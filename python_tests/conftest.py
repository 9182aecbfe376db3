import csv
import os
import sys
from pathlib import Path

import pytest
import torch

from resblock.cli import main
from resblock.report.viewer_js import find_viewer
from resblock.structure import read_partner

# The processes of pytest-xdist begin in the source tree, which would hide the installed package from their children.
sys.path[:] = [place for place in sys.path if place]

# The references are loops of tiny operations, which threads only slow down.
torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """Tests share caches of their own and leave the user's alone.

    Of compiled graphs, too: the user's may hold calls of an operator as it was in another version.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESBLOCK_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path_factory.mktemp("graphs")))
        # Reports link the viewer: nothing answers there, which is told once.
        patch.setenv("RESBLOCK_VIEWER_URL", "http://127.0.0.1:9/3Dmol-min.js")
        find_viewer()
        yield


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty feature cache for one test."""
    directory = tmp_path / "cache"
    monkeypatch.setenv("RESBLOCK_CACHE", str(directory))
    return directory


@pytest.fixture
def read(tmp_path):
    """Reads the text of a structure file, under whatever name, as a partner."""

    def read_text(text, name="x.pdb", **options):
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_partner(tmp_path / name, **options)

    return read_text


@pytest.fixture(scope="session")
def db5():
    """The docking benchmark, where it is at hand."""
    default = Path(__file__).resolve().parents[2] / "shared" / "db5"
    directory = Path(os.environ.get("RESBLOCK_DB5", default))
    if not (directory / "index.tsv").is_file():
        pytest.skip(f"no docking benchmark at {directory}; set RESBLOCK_DB5 to have it")
    return directory


@pytest.fixture(scope="session")
def collection():
    """Lines of the table of further complexes, where it is at hand."""
    default = Path(__file__).resolve().parents[2] / "shared" / "complexes"
    index = Path(os.environ.get("RESBLOCK_COMPLEXES", default)) / "index.tsv"
    if not index.is_file():
        pytest.skip(f"no further complexes at {index.parent}; set RESBLOCK_COMPLEXES to have them")
    with index.open() as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


@pytest.fixture
def run(capsys):
    """Run the command line; gives exit status, standard output and standard error."""

    def run(*arguments):
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return left.value.code, captured.out, captured.err

    return run
