#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a user may have: removing your own records lifts no limit if the kernel still shows the leases; the
manual says what does lift it."""
import os

import cli
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
def agents_have_limits_of_their_own():
    with two_people() as (ada, _), shared_store() as one:
        agent = {**rules(one, "max-devices = 5\nagent-max-devices = 2\nagent-max-hold = 1h\n"),
                 "GPUALLOC_AGENT": "tester"}
        person = {**agent, "GPUALLOC_AGENT": ""}
        limit = ["--time-limit", "1h"]
        one.refused(78, "-n", "3", *limit, "true", env=agent, says=["agent-max-devices"],
                    **ada.as_them())
        one.refused(78, "true", env=agent, says=["agent-max-hold", "a time limit is needed"],
                    **ada.as_them())
        one.refused(78, "--time-limit", "61m", "true", env=agent, says=["agent-max-hold"],
                    **ada.as_them())
        hers = one.hold("-n", "3", env=person, **ada.as_them())
        its = one.hold("-n", "2", *limit, env=agent, **ada.as_them())
        one.refused(75, *limit, "true", env=agent, says=["max-devices"], **ada.as_them())
        assert hers.end() == 0
        one.refused(75, *limit, "true", env=agent, says=["leases of your agents have 2"],
                    **ada.as_them())
        one.ok("-n", "3", "true", env=person, **ada.as_them())
        lease, = one.leases()["leases"]
        assert lease["agent"] == "tester", lease
        assert f"agent of {lease['user']}: tester" in one.ask("leases"), one.ask("leases")
        assert "by an agent of" in one.refused(75, "-n", "7", "true"), "a refusal names agents"
        assert its.end() == 0


@case
def a_hold_of_an_agent_cannot_be_extended_beyond_its_limit():
    with two_people() as (ada, _), shared_store() as one:
        agent = {**rules(one, "max-hold = 5h\nagent-max-hold = 1h\n"), "GPUALLOC_AGENT": "\t\033["}
        env = {"GPUALLOC_STATE_DIR": one.path, **agent}
        lease = cli.ok("hold", "--machine", one.machine, "--for", "50m", env=env,
                       **ada.as_them()).strip()
        cli.refused(78, "hold", "--extend", lease, "--for", "11m", env=env, **ada.as_them())
        cli.ok("hold", "--extend", lease, "--for", "9m", env=env, **ada.as_them())
        shown, = one.leases()["leases"]
        assert shown["agent"] == "?[", shown
        cli.ok("release", lease, env=env, **ada.as_them())


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
