#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the administrator's fence costs: opening a file, a node of a GPU with a lease, one without, and
starting `gpualloc run -- true`, behind it and without it, and how that grows with the number of locks in the
ledger. Few machines load the fence, so it is measured in a virtual one, whose clock goes on by a nanosecond
with each instruction: the figures are instructions, the same every time, not time.

usage: fence_kernel.py VMLINUZ BUILD [LSM]"""
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "tests/fence"))
OPENS, STARTS = 200, 20
# Of others, in the ledger, taken before the lease: its own locks come last in the list.
LOCKS = (10, 100, 1000)


def boot(kernel, build, lsm="landlock,bpf"):
    import vm  # pylint: disable=import-outside-toplevel
    if not vm.is_good(vm.run(kernel, build, [os.path.abspath(__file__)], lsm=lsm, shift="0")):
        sys.exit("the measurement did not end well")


# ---- in there ----

def inside():
    import behind  # pylint: disable=import-outside-toplevel
    from behind import ANN, FULL, GPUALLOC, STAGE, down, settings, somebody, up
    regular = behind.FOLDER + "/file"
    behind.build_the_scene()
    behind.write(regular, "")
    opens = os.environ["OPENS"]

    def cost(path, *before):
        done = subprocess.run([*before, opens, str(OPENS), path], env=settings(), user=ANN, group=ANN,
                              extra_groups=[], cwd="/", check=True, capture_output=True, text=True)
        return int(done.stdout)

    def start():
        best = None
        for _ in range(STARTS):
            begin = time.monotonic_ns()
            subprocess.run([GPUALLOC, "run", "-q", "-n", "1", "--", "true"], env=settings(), user=ANN,
                           group=ANN, extra_groups=[], cwd="/", check=True)
            took = time.monotonic_ns() - begin
            best = took if best is None else min(best, took)
        return best

    lease = [GPUALLOC, "run", "-q", "-n", "1", "--only", "0", "--"]

    def row():
        return {"/dev/null": cost("/dev/null"), "a file": cost(regular), "a GPU, leased": cost(FULL, *lease),
                "a GPU, not leased": cost(FULL), "start of `run -- true`": start()}

    down()
    fenced = [*lease[:3], "--fence", *lease[3:]]
    print(f"\n{'':24}{'run':>12}{'run --fence':>12}{'ratio':>8}{'more':>10}")
    for name, path in (("/dev/null", "/dev/null"), ("a file", regular), ("a GPU, leased", behind.NODES[0])):
        base, value = cost(path, *lease), cost(path, *fenced)
        print(f"{name:24}{base:12}{value:12}{value / base:8.2f}{value - base:10}")
    without = row()
    up()
    behind_it = row()
    print(f"\n{'':24}{'without':>12}{'behind it':>12}{'ratio':>8}{'more':>10}")
    for name, base in without.items():
        value = behind_it[name]
        print(f"{name:24}{base:12}{value:12}{value / base:8.2f}{value - base:10}")
    print(f"\n{'locks of others':24}{'leased':>12}{'not leased':>12}{'/dev/null':>12}")
    for number in (0, *LOCKS):
        others = somebody(behind.BOB)
        fds = [others.keep(behind.LEDGER) for _ in range(number)]
        for i, fd in enumerate(fds):
            others.lock(fd, (1 << 62) + 2 * i, 1)
        print(f"{number:<24}{cost(FULL, *lease):12}{cost(FULL):12}{cost('/dev/null'):12}")
        STAGE.clear()
    print("ok 1 - measured")


if __name__ == "__main__":
    if "OPENS" in os.environ:
        inside()
    else:
        boot(*sys.argv[1:])
