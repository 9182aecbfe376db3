"""Speed of the operator on a CPU beside its peers: `pytest bench/test_cpu.py --benchmark-json=bench/cpu.json`.

Every workload is timed in several passes, the peers in turn within each (A, B, C, A, B, C, ...), so that the noise
of a shared machine falls on all of them. `bench/table.py` makes ratios of medians of the JSON.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from peers import PEERS, WORKLOADS, Workload

PASSES = 3


@pytest.fixture(autouse=True)
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    count = request.getfixturevalue("thread_count")
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    yield count
    torch.set_num_threads(before)


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("turn", range(PASSES))
@pytest.mark.parametrize("thread_count", [1])
@pytest.mark.parametrize("work", WORKLOADS, ids=lambda w: w.name)
def test_speed(benchmark, work: Workload, thread_count: int, turn: int, peer: str) -> None:
    call = PEERS[peer](work)
    if call is None:
        pytest.skip(f"{peer} has no training")
    benchmark.extra_info.update(work=work.name, threads=thread_count, peer=peer, turn=turn, cells=work.cells)
    benchmark.pedantic(call, rounds=7, warmup_rounds=1)
