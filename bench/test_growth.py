"""Cost against each of T, L, H and B, for the plots. `--select T` takes one letter."""

import pytest
from conftest import effort, in_turns
from workloads import ONNX, OURS, TORCH, Participant, Size, growth

PASSES = 3


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    letter = metafunc.config.getoption("--select")
    sizes = [
        ((name, size), _peers(size)) for name, all_ in growth().items() for size in all_ if name.startswith(letter)
    ]
    in_turns(metafunc, sizes, PASSES)


def _peers(size: Size) -> list[Participant]:
    return [Participant(peer) for peer in (OURS, TORCH, ONNX) if not (peer == ONNX and size.training)]


def test_growth(timed, request, what: tuple[str, Size], turn: int, participant: Participant) -> None:
    series, size = what
    timed(participant, size, turn, effort(request.config, PASSES, 0.05), series=series.split()[0])
