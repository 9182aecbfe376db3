"""Many calls of the operator: each gives what the reference gives, or is refused with a message.

    python python_tests/fuzz_operator.py --count 200000 --seed 1

Shapes, strides, types, lengths, packed rows, resets, options, schedules, numbers of threads and instruction sets are
drawn; some calls have infinite, huge, tiny or undefined numbers in them, and others are wrong in one argument. A call
that ends the process, takes longer than 20 s, gives other numbers, is refused without being wrong, or is wrong without
being refused, is printed with its number; `--only NUMBER` makes that call again. The exit status is then 1.
"""

import argparse
import collections
import json
import os
import random
import subprocess
import sys
import threading
import time

import torch
from networks import NAMES
from strange_calls import STRANGE, Drawn
from wrong_calls import WRONG

SECONDS = 20.0
#: To import torch.
STARTING = 100.0
#: Calls in one process: when it dies, the rest of them is begun anew.
BATCH = 2000
INSTRUCTION_SETS = ("x86-64", "x86-64-v3", "x86-64-v4", "x86-64-v4-bf16", "x86-64-v4-bf16-amx")
#: What a refused call may raise.
REFUSALS = (RuntimeError, ValueError, TypeError, NotImplementedError, IndexError)


def fault(number):
    """What is wrong with how a call is treated: an empty text if nothing, and how it ended otherwise."""
    draw = random.Random(number)
    torch.manual_seed(number)
    torch.set_num_threads(draw.choice([1, 1, 2, 5]))
    kind = draw.choices(["plain", "strange", "misuse"], [5, 2, 3])[0]
    if kind == "misuse":
        return misused(draw.choice(list(WRONG)), draw)
    call = Drawn.of(draw, number, small=kind == "strange")
    try:
        return compared(call) if kind == "plain" else strange(draw.choice(list(STRANGE)), draw, call)
    except Exception as raised:
        return "raised", repr(raised)


def error(actual, expected):
    """The largest difference, over the largest number where that is above one: sums of a few may cancel."""
    if not expected.numel():
        return 0.0
    largest = expected.detach().abs().max().double().clamp_min(1)
    return float((actual.detach().double() - expected.detach().double()).abs().max() / largest)


def misused(name, draw):
    """A call that is wrong in one place is refused in words."""
    try:
        WRONG[name](draw)
    except REFUSALS as refusal:
        return ("", "refused") if str(refusal).strip() else ("message", f"{name}: {refusal!r}")
    except BaseException as other:
        return "raised", f"{name}: {other!r}"
    return "not refused", name


def strange(name, draw, call):
    """Numbers that are none: what the equations give, where they give a number, and else the same or a number."""
    call = STRANGE[name](draw, call)
    with torch.no_grad():
        actual, expected = call.run(call.leaves(torch.float32)), call.expected(call.leaves(torch.float32))
    for a, e in zip(actual, expected, strict=True):
        defined = ~e.isnan()
        if name == "huge":  # sums of them overflow in one order and not in another
            continue
        # A closed gate is not quite zero, and infinity times that is no NaN (docs/lstm.md).
        if (a.isnan() & defined).any() or (name != "infinite" and not torch.equal(~a.isnan(), defined)):
            return "wrong", f"{name}: undefined numbers elsewhere"
        if error(a[defined].nan_to_num(), e[defined].nan_to_num()) > 1e-4:
            return "wrong", f"{name}: {error(a[defined].nan_to_num(), e[defined].nan_to_num()):.1e}"
    return "", "equal"


def compared(call):
    """Results and gradients, by the training call and by the one without gradients."""
    limit, leaves, exact = call.tolerance, call.leaves(call.dtype), call.leaves(torch.float64)
    with torch.no_grad():
        alone = call.run(leaves)
    actual, expected = call.run(leaves), call.expected(exact)
    for result, a, b, e in zip(("output", "h_n", "c_n", "cells"), actual, alone, expected, strict=False):
        for found in (a, b):
            if found.shape != e.shape or not error(found, e) <= limit:
                return "wrong", f"{result}: {error(found, e) if found.shape == e.shape else found.shape}"
    weights = [torch.randn_like(e) for e in expected]
    ours, theirs = gradients(actual, weights, leaves), gradients(expected, weights, exact)
    for name, gradient in ours.items():
        if not error(gradient, theirs[name]) <= 20 * limit:
            return "wrong", f"gradient of {name}: {error(gradient, theirs[name]):.1e}"
    return "", "equal"


def gradients(results, weights, leaves):
    """Those of a weighting of all results, by the names of the arguments."""
    wanted = {name: leaf for name, leaf in zip(NAMES, leaves, strict=True) if leaf.requires_grad}
    loss = sum((result.to(weight.dtype) * weight).sum() for result, weight in zip(results, weights, strict=True))
    if not wanted or not loss.requires_grad:  # nothing depends on what has no steps
        return {name: torch.zeros_like(leaf) for name, leaf in wanted.items()}
    found = torch.autograd.grad(loss, list(wanted.values()), materialize_grads=True)
    return dict(zip(wanted, found, strict=True))


def work(first, count):
    """Make calls, each announced before it is made."""
    for number in range(first, first + count):
        print(json.dumps([number]), flush=True)
        print(json.dumps([number, *fault(number)]), flush=True)


def watched(first, count, instruction_set, found):
    """Make calls in a process of its own, anew after one that ends it; `found` is called with each result."""
    last = first + count
    while first < last:
        environment = os.environ | {"RESBLOCK_ISA": instruction_set}
        command = [sys.executable, __file__, "--work", str(first), str(last - first)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        since = [time.monotonic() + STARTING]
        watch = threading.Thread(target=_end_if_it_hangs, args=(process, since), daemon=True)
        watch.start()
        for line in process.stdout:
            since[0] = time.monotonic()
            number, *result = json.loads(line)
            if result:
                found(number, *result)
                first = number + 1
        if process.wait():
            found(first, "died", f"exit status {process.returncode}")
            first += 1


def _end_if_it_hangs(process, since):
    while process.poll() is None:
        if time.monotonic() - since[0] > SECONDS:
            process.kill()
        time.sleep(0.5)


def run(count, first):
    """Make calls on every instruction set in turns; returns how often each end was seen, and prints what is wrong."""
    ends = collections.Counter()

    def found(number, kind, what):
        ends[kind or what] += 1
        if kind:
            print(f"call {number} on {instruction_set}: {kind}: {what}", file=sys.stderr)

    for batch, begin in enumerate(range(first, first + count, BATCH)):
        instruction_set = INSTRUCTION_SETS[batch % len(INSTRUCTION_SETS)]
        watched(begin, min(BATCH, first + count - begin), instruction_set, found)
    return ends


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="the number of a call")
    parser.add_argument("--work", type=int, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        return work(*options.work)
    if options.only is not None:
        print(*fault(options.only))
        return 0
    ends = run(options.count, options.seed * 100_000_000)
    print(f"seed {options.seed}: " + ", ".join(f"{count} {end}" for end, count in ends.most_common()))
    return int(set(ends) - {"equal", "refused"} != set())


if __name__ == "__main__":
    sys.exit(main())
