"""Worker processes end with the one that started them, however that ended."""

import os
import signal
import subprocess
import sys
import time

import pytest

from resblock.processes import in_processes

POOL = """
import multiprocessing, os, sys, time
from concurrent.futures import ProcessPoolExecutor
from resblock.processes import end_with_parent

if __name__ == "__main__":
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn"), initializer=end_with_parent) as pool:
        print(*pool.map(os.getppid, []), *{pool.submit(os.getpid).result() for _ in range(20)}, flush=True)
        time.sleep(60)
"""


def is_alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{process}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_their_parent(how, tmp_path):
    script = tmp_path / "pool.py"
    script.write_text(POOL)
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    workers = [int(number) for number in parent.stdout.readline().split()]
    assert workers
    assert all(map(is_alive, workers))
    parent.send_signal(how)
    parent.wait(10)
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while any(map(is_alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_alive, workers))


def root(number):
    """Square root; of a negative number this process dies, as in a fault of a compiled library."""
    if number < 0:
        os.kill(os.getpid(), signal.SIGSEGV)
    return number**0.5


@pytest.mark.parametrize("processes", [1, 2])
def test_a_process_that_dies_costs_its_own_task(processes):
    results = dict(in_processes(root, [1, -1, 4, -4, 9, 16], processes))
    assert results == {1: 1.0, -1: None, 4: 2.0, -4: None, 9: 3.0, 16: 4.0}


def test_what_a_task_raises_is_raised():
    with pytest.raises(TypeError):
        list(in_processes(root, ["a"], 2))
