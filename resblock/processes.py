"""Worker processes that end with their parent, and whose death costs one task."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def worker() -> ProcessPoolExecutor:
    """One process that does tasks and ends with this one."""
    # Spawned, because forking a process that holds torch's threads can hang.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(1, context, initializer=end_with_parent)


def in_processes(function: Callable[[T], R], tasks: Sequence[T], processes: int) -> Iterator[tuple[T, R | None]]:
    """Do tasks in several processes; yields each with its result as it is done, or with None if its process died.

    A process that dies, of a fault in a compiled library or for want of memory, takes its own task with it and no
    other: each process is a pool of its own.
    """
    waiting = list(reversed(tasks))
    idle = [worker() for _ in range(min(processes, len(tasks)))]
    running: dict[Future[R], tuple[T, ProcessPoolExecutor]] = {}
    try:
        while waiting or running:
            while waiting and idle:
                pool = idle.pop()
                try:
                    running[pool.submit(function, waiting[-1])] = waiting[-1], pool
                except BrokenProcessPool:  # while it had nothing to do
                    idle.append(worker())
                else:
                    waiting.pop()
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                task, pool = running.pop(future)
                try:
                    result = future.result()
                except BrokenProcessPool:
                    idle.append(worker())
                    yield task, None
                else:
                    idle.append(pool)
                    yield task, result
    finally:
        # Interrupted, what is running is not waited for.
        for pool in (*idle, *(pool for _, pool in running.values())):
            pool.shutdown(wait=False, cancel_futures=True)


def end_with_parent() -> None:
    """Let this worker end when the process that started it ends, however that ended.

    A pool's workers wait for their next task; nobody tells them that the one who would give it was killed.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_wait_for, args=(parent.sentinel,), daemon=True).start()


def _wait_for(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)
