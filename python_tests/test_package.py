"""What `import resblock` gives, and what it leaves alone until a name is asked for."""

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


@pytest.mark.parametrize(
    ("statement", "untouched"),
    [
        ("import resblock", ["torch", "numpy", "Bio", "propka", "voronotalt"]),
        ("import resblock.structure", ["torch", "lightning"]),
        ("from resblock import ResidualLSTM", ["Bio", "propka", "voronotalt", "lightning", "torch._dynamo"]),
        ("import resblock.prediction", ["lightning", "sklearn", "optuna", "matplotlib", "torch._dynamo"]),
    ],
)
def test_what_is_not_needed_is_not_imported(statement, untouched, tmp_path):
    program = f"{statement}; import sys; print([name for name in {untouched} if name in sys.modules])"
    # Not in the source tree, which would hide the installed package.
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.strip() == "[]"
