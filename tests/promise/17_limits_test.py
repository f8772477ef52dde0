#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a user may have: removing your own records lifts no limit if the kernel still shows the leases; the
manual says what does lift it."""
import os

from cli import ROOT, case, main
from people import shared_store, two_people


def rules(one, text):
    path = os.path.join(one.where, "gpualloc.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return {"GPUALLOC_CONFIG": path}


@case
def leases_without_records_count():
    with two_people() as (ada, bob), shared_store() as one:
        env = rules(one, "max-devices = 3\n")
        for words, size in ((["-n", "2"], "2"), (["-n", "2", "-m", "1GiB", "--share"], "2")):
            his = one.hold("-n", "3", env=env, **bob.as_them())
            hers = one.hold(*words, env=env, **ada.as_them())
            records = os.path.join(one.path, "records")
            for name in os.listdir(records):
                os.unlink(os.path.join(records, name))
            one.refused(75, "-n", "2", "true", env=env, says=["your leases have " + size],
                        **ada.as_them())
            one.ok("-n", "1", "true", env=env, **ada.as_them())
            assert hers.end() == 0
            one.ok("-n", "3", "true", env=env, **ada.as_them())  # his are not hers
            assert his.end() == 0


@case
def the_manual_says_how_limits_can_be_evaded():
    with two_people() as (ada, _), shared_store() as one:
        one.refused(78, "-n", "4", "true", env=rules(one, "max-devices = 3\n"), **ada.as_them())
        one.ok("-n", "4", "true", env={"GPUALLOC_CONFIG": "/nonexistent"}, **ada.as_them())
    with open(os.path.join(os.path.dirname(ROOT), "docs", "gpualloc.conf.5.scd"),
              encoding="utf-8") as file:
        limits = file.read().split("# LIMITS")[1].split("\n# ")[0]
    for word in ("GPUALLOC_CONFIG", "records", "by hand"):
        assert word in limits, word


main()
