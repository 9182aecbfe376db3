"""What `import resblock` gives, and what it leaves alone until a name is asked for."""

import os
import subprocess
import sys

import pytest

import resblock


def test_every_name_is_there_and_listed():
    for name in resblock.__all__:
        assert getattr(resblock, name).__module__.startswith("resblock.")
        assert name in dir(resblock)
    assert resblock.ops.residual_lstm is resblock.residual_lstm
    assert resblock.nn.ResidualLSTM is resblock.ResidualLSTM
    with pytest.raises(AttributeError, match="module 'resblock' has no attribute 'nothing'"):
        _ = resblock.nothing


#: Packages that other commands need, or that those needed bring along where they are installed.
ELSEWHERE = [
    "lightning",
    "sklearn",
    "scipy",
    "optuna",
    "matplotlib",
    "pandas",
    "onnx",
    "Bio.PDB",
    "Bio.Seq",
    "unittest",
]


@pytest.mark.parametrize(
    ("statement", "untouched"),
    [
        ("import resblock", ["torch", "numpy", "Bio", "propka", "voronotalt"]),
        ("import resblock.structure", ["torch", *ELSEWHERE]),
        ("from resblock.structure.fetch import locate; locate('/dev/null')", ["resblock.structure.download"]),
        ("from resblock import ResidualLSTM", ["Bio", "propka", "voronotalt", "lightning"]),
        ("import resblock.cli.predict, resblock.prediction", ELSEWHERE),
        ("main(['--help'])", ["torch", "numpy", "Bio", "gemmi", "propka", "voronotalt", "safetensors", *ELSEWHERE]),
        ("main(['predict', '--example', '--out', 'out'])", ELSEWHERE),
    ],
)
def test_what_is_not_needed_is_not_imported(statement, untouched, tmp_path, of_torch):
    modules = modules_of(statement, tmp_path)
    brought = modules - of_torch
    assert not set(untouched) & (modules if "torch" in untouched else brought)
    # Neither torch's compiler nor anything else of it that torch does not import itself.
    assert "torch" not in modules or not [
        name for name in brought if name.partition(".")[0] in ("torch", "sympy", "networkx", "jinja2")
    ]


@pytest.fixture(scope="module")
def of_torch(tmp_path_factory):
    """Names of the modules that torch imports by itself."""
    return modules_of("import torch", tmp_path_factory.mktemp("torch"))


def modules_of(statement, directory):
    """Names of all modules that are there after a statement."""
    setting = "from resblock.cli import main; " if statement.startswith("main") else ""
    program = (
        f"import atexit, sys; atexit.register(lambda: print(*sys.modules, sep='\\n', file=sys.stderr)); "
        f"{setting}{statement}"
    )
    environment = {**os.environ, "RESBLOCK_CACHE": str(directory / "cache")}
    # Not in the source tree, which would hide the installed package.
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=directory, env=environment
    )
    return set(done.stderr.split())
