#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Section 3 of the manual: every exported call is on one page, and the examples run.

Arguments: page.py, the header, then pages, then --, then PROGRAM=EXPECTED-WORDS."""
import collections
import os
import subprocess
import sys
import tempfile

split = sys.argv.index("--")
TOOL, HEADER, *PAGES = sys.argv[1:split]
EXAMPLES = [argument.split("=", 1) for argument in sys.argv[split + 1:]]


def missing_or_twice():
    listing = subprocess.run([sys.executable, TOOL, "--calls", HEADER, *PAGES], capture_output=True,
                             text=True, check=True).stdout
    pages = collections.Counter(line.split()[1] for line in listing.splitlines())
    with open(HEADER, encoding="utf-8") as file:
        header = file.read()
    calls = {part.split("(")[0].split()[-1].lstrip("*")
             for part in header.split("GPUALLOC_EXPORT ")[1:] if "(" in part.split(";")[0]}
    calls = {call for call in calls if call.startswith("gpualloc_")}
    return sorted(f"{call} is on {pages[call]} pages" for call in calls | set(pages)
                  if pages[call] != 1 or call not in calls)


def run(program):
    with tempfile.TemporaryDirectory(prefix="gpualloc-test-") as folder:
        env = {**os.environ, "GPUALLOC_MACHINE": "dgx1-volta", "GPUALLOC_STATE_DIR": f"{folder}/store"}
        return subprocess.run([program], capture_output=True, text=True, check=False, env=env)


print(f"1..{1 + len(EXAMPLES)}")
faults = missing_or_twice()
bad = bool(faults)
for fault in faults:
    print("#", fault)
print("not ok" if faults else "ok", "1 - every call is on one page")
for number, (program, words) in enumerate(EXAMPLES, 2):
    done = run(program)
    fine = done.returncode == 0 and words in done.stdout and not done.stderr
    bad |= not fine
    if not fine:
        print("#", done)
    print("ok" if fine else "not ok", number, "-", os.path.basename(program))
sys.exit(bad)
