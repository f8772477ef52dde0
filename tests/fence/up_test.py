#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Puts the fence up for the tests that come after it in the same virtual machine: what leases promise has
to hold behind it, too."""
from behind import NODES, build_the_scene, command, up
from cli import case, main


@case
def it_stands_for_what_follows():
    build_the_scene()
    assert NODES[0] in up()
    assert "stands" in command("setup", "--fence", "--check")


main()
