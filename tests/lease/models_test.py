#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The lease protocol as spin explores it: every step of every order of a few processes. Each model holds as
it stands. Each deliberate break is found to fail in the way that the file says; a checker that could not
find those would prove nothing."""
import os
import resource
import shutil
import subprocess
import sys
import tempfile

MODELS = sys.argv[1]
SECONDS, MEGABYTES = 60, 768
HOLDS = "errors: 0"

# Model, how it is changed, what is asked of it ("" is: assertions, and no process stuck), and what
# spin has to say.
CASES = [
    ("claim", "", "", HOLDS),
    ("claim", "-DWITHOUT_ARBITER", "", HOLDS),
    ("claim", "-DBROKEN_LOOK", "", "assertion violated  !((used[_pid]"),
    ("claim", "-DBROKEN_KEEP", "", "assertion violated by_lease"),
    ("claim", "-DBROKEN_REFUSAL", "", "assertion violated by_lease"),
    ("wakeup", "", "live", HOLDS),
    ("wakeup", "-DUNLOCK_FIRST", "live", HOLDS),
    ("wakeup", "-DBROKEN_TRIES=3", "live", "acceptance cycle"),
    ("wakeup", "-DBROKEN_TRIES=20", "live", "acceptance cycle"),
    ("wakeup", "-DBROKEN_WATCH -DUNLOCK_FIRST", "live", "acceptance cycle"),
    ("nesting", "", "", HOLDS),
    ("nesting", "-DRELEASED", "", HOLDS),
    ("nesting", "-DBROKEN_TWO_DESCRIPTIONS", "", "assertion violated (users==1)"),
    ("nesting", "-DBROKEN_DEEPER", "", "assertion violated (users==1)"),
    ("nesting", "-DBROKEN_ORDER", "", "assertion violated (users==1)"),
    ("nesting", "-DBROKEN_REVIVAL", "", "assertion violated (users==1)"),
    ("removal", "", "", HOLDS),
    ("removal", "-DBROKEN_NAME", "", "assertion violated (users==1)"),
    ("removal", "-DBROKEN_ORDER", "", "assertion violated (users==1)"),
    ("removal", "-DBROKEN_LATE", "", "assertion violated (users==1)"),
    ("removal", "-DBROKEN_UNLOCK", "", "assertion violated (users==1)"),
    ("naming", "", "", HOLDS),
    ("naming", "-DBROKEN_ORDER", "", "assertion violated (is_named||was_tidied)"),
    ("naming", "-DBROKEN_CHECK", "", "(is_named)||(record[number]"),
    ("naming", "-DBROKEN_GUARD", "", "(is_named)||(record[number]"),
    ("naming", "-DBROKEN_UNLOCK", "", "(has_lease)||"),
    ("rivals", "", "", HOLDS),
    ("rivals", "-DBROKEN_ORDER", "", "assertion violated"),
    ("rivals", "-DBROKEN_LOOK", "", "assertion violated"),
    ("rivals", "-DBROKEN_DEEPER", "", "assertion violated"),
    ("rivals", "-DBROKEN_UPWARDS", "", "assertion violated"),
    ("tickets", "", "large_is_served", HOLDS),
    ("tickets", "", "small_is_served", HOLDS),
    ("tickets", "-DBROKEN_KEEP", "small_is_served", "acceptance cycle"),
    ("tickets", "-DBROKEN_BARGE", "large_is_served", "acceptance cycle"),
    ("tickets", "-DBROKEN_NUMBER", "large_is_served", "assertion violated (((("),
    ("patience", "", "", HOLDS),
    ("patience", "-DBROKEN_EACH", "", "))<=15)||"),
    ("patience", "-DBROKEN_AT_ONCE", "", "assertion violated ((me<="),
    ("patience", "-DBROKEN_LOOK", "", "assertion violated ((me<="),
    ("patience", "-DBROKEN_LIAR", "", "assertion violated (now<90)"),
    ("patience", "-DBROKEN_HURRY", "", "assertion violated ((me<="),
    ("patience", "-DBROKEN_REFUSAL", "", "assertion violated (now<90)"),
    ("inheritance", "", "it_ends", HOLDS),
    ("inheritance", "-DBROKEN_QUERY", "it_ends", "acceptance cycle"),
    ("inheritance", "-DBROKEN_JOIN", "it_ends", "assertion violated"),
    ("inheritance", "-DBROKEN_SUPERVISOR", "it_ends", "assertion violated"),
    ("inheritance", "-DBROKEN_MESSAGE", "it_ends", "acceptance cycle"),
]


def bounded():
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEGABYTES << 20, MEGABYTES << 20))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def do(folder, *words):
    done = subprocess.run(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=4 * SECONDS, preexec_fn=bounded, check=False)
    return done.stdout.decode(errors="replace")


def explore(model, changes, formula):
    """What the checker says of a model."""
    with tempfile.TemporaryDirectory(prefix="gpualloc-model-") as folder:
        shutil.copy(os.path.join(MODELS, model + ".pml"), folder)
        said = do(folder, "spin", *changes.split(), "-a", model + ".pml")
        kind = ["-DNFAIR=3"] if formula else ["-DSAFETY"]
        said += do(folder, "gcc", "-O1", "-w", *kind, "-o", "pan", "pan.c")
        # Fairness: a process that can go on does so at some time.
        asked = ["-a", "-f", "-N", formula] if formula else []
        return said + do(folder, "./pan", "-m100000", *asked)


def passes(said, expected):
    complete = "Search not completed" not in said and "max search depth too small" not in said
    return expected in said and (expected != HOLDS or complete) and "error: max" not in said


def main():
    missing = [tool for tool in ("spin", "gcc") if not shutil.which(tool)]
    if missing:
        print("1..0 # SKIP no", " and no ".join(missing))
        return 0
    failed = 0
    print(f"1..{len(CASES)}")
    for number, (model, changes, formula, expected) in enumerate(CASES, 1):
        said = explore(model, changes, formula)
        good = passes(said, expected)
        failed += not good
        if not good:
            print("# expected:", expected)
            for line in said.splitlines():
                print("#", line)
        states = [line.split()[0] for line in said.splitlines() if "states, stored" in line]
        print("ok" if good else "not ok", number, "-", model, changes, formula,
              "holds" if expected == HOLDS else "fails, as it must", f"({''.join(states)} states)",
              flush=True)
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
