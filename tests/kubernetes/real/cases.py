# SPDX-License-Identifier: Apache-2.0
"""Cases, in the order in which they are written, with the programs that each of them needs. They share one
cluster, in which each leaves nothing of its own."""
import contextlib
import os
import traceback

from cli import Skip

CASES = []
ROUNDS = int(os.environ.get("ROUNDS") or 1)  # of the cases that count something


def need(programs):
    def marks(function):
        CASES.append((function, list(programs)))
        return function
    return marks


def run(modules, programs, cluster, why_not):
    """Runs all of these modules, as TAP; returns whether one failed. why_not: a reason why none can be run here."""
    failed = False
    chosen = [one for module in modules for one in CASES if one[0].__module__ == module.__name__]
    print(f"1..{len(chosen)}", flush=True)
    for number, (function, needed) in enumerate(chosen, 1):
        name = function.__name__.replace("_", " ")
        missing = programs.missing(needed)
        try:
            if missing:
                raise Skip(f"{programs.folder} has no {', '.join(missing)}")
            if why_not:
                raise Skip(why_not)
            function(cluster)
            print(f"ok {number} - {name}", flush=True)
        except Skip as reason:
            print(f"ok {number} - {name} # SKIP {reason}", flush=True)
        except Exception:  # the others may tell more
            failed = True
            print("".join(f"# {line}\n" for line in traceback.format_exc().splitlines()) +
                  f"not ok {number} - {name}", flush=True)
            with contextlib.suppress(Exception):
                cluster.tidy()
    return failed
