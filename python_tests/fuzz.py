"""Many strange structure files through the reader and the features: each is used or refused in one line.

    python python_tests/fuzz.py --count 20000 --seed 1 --out build/fuzz

A file that ends the process, raises anything but `InputError`, takes longer than 20 s or more than 2 GiB, or is refused
with a message that does not name it, is kept in the directory, and the exit status is 1.
"""

import argparse
import collections
import multiprocessing
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from strange_files import STRANGE_FILES

from resblock.errors import InputError
from resblock.structure import PartnerFeatures, read_partner

SECONDS, MEMORY = 20.0, 2 << 30
#: Files in one process: when it dies, the rest of them is begun anew.
BATCH = 100


def fault(path):
    """What is wrong with how a file is treated: an empty text if nothing, and how it ended otherwise."""
    try:
        PartnerFeatures.of(read_partner(path))
    except InputError as error:
        message = str(error)
        if not message.startswith(f"{path}: ") or "\n" in message or len(message) > 1000:
            return "message", message
        return "", "refused"
    except BaseException as error:
        return "raised", repr(error)
    return "", "used"


def work(directory, number, count, results):
    """Examples of one seed, each written before it is read: whoever watches sees how old it is."""
    limit = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    path = directory / "current"

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(STRANGE_FILES)
    def one(content):
        path.write_bytes(content)
        kind, what = fault(str(path))
        results.put((kind, what, content if kind else b""))

    one()


def watched(number, count, found):
    """Run a batch in a process of its own; `found` is called with each result."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        context = multiprocessing.get_context("fork")
        results = context.SimpleQueue()
        process = context.Process(target=work, args=(directory, number, count, results))
        process.start()
        current = directory / "current"
        current.touch()
        done, since = 0, time.monotonic()
        while process.is_alive() or not results.empty():
            if not results.empty():
                found(*results.get())
                done, since = done + 1, time.monotonic()
            elif time.monotonic() - since > SECONDS:
                process.kill()
                process.join()
                found("hung", f"more than {SECONDS:g} s", current.read_bytes())
                return done + 1
            else:
                time.sleep(0.002)
        process.join()
        if process.exitcode:
            found("died", f"exit status {process.exitcode}", current.read_bytes())
            return done + 1
    return done


def run(count, first_seed, out):
    """Try files; returns how often each end was seen. What is wrong goes into a directory."""
    ends = collections.Counter()

    def found(kind, what, content):
        ends[kind or what] += 1
        if kind:
            out.mkdir(parents=True, exist_ok=True)
            (out / f"{kind}_{ends[kind]}").write_bytes(content)
            (out / f"{kind}_{ends[kind]}.txt").write_text(what + "\n")
            print(f"{kind}: {what}", file=sys.stderr)

    done, number = 0, first_seed
    while done < count:
        done += watched(number, min(BATCH, count - done), found)
        number += 1
    return ends


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("build/fuzz"))
    options = parser.parse_args()
    shutil.rmtree(options.out, ignore_errors=True)
    ends = run(options.count, options.seed * 1_000_000, options.out)
    print(f"seed {options.seed}: " + ", ".join(f"{count} {end}" for end, count in ends.most_common()))
    return int(set(ends) - {"used", "refused"} != set())


if __name__ == "__main__":
    sys.exit(main())
