"""bfloat16 and float16 beside float32; for wide layers beside torch.nn.LSTM in bfloat16, too."""

import pytest
from conftest import effort, in_turns
from workloads import HALF_WORKLOADS, OURS, TORCH, WORKLOADS, Participant, Workload


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    types = [Participant(OURS, dtype=dtype) for dtype in ("float32", "bfloat16", "float16")]
    wide = [*types, Participant(TORCH, dtype="bfloat16")]
    in_turns(metafunc, [(w, wide if w.row == "W" else types) for w in WORKLOADS if w.name in HALF_WORKLOADS])


def test_half(timed, request, what: Workload, turn: int, participant: Participant) -> None:
    timed(participant, what.size, turn, effort(request.config), workload=what.name)
