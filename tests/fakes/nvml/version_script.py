#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the linker's version script for one driver: version_script.py TABLE DRIVER."""
import sys


def main():
    table, driver = sys.argv[1], int(sys.argv[2])
    print("{\n global:")
    with open(table, encoding="ascii") as lines:
        for line in lines:
            words = line.split("#")[0].split()
            if not words:
                continue
            first, last = int(words[1]), int(words[2]) if len(words) > 2 else driver
            if first <= driver <= last:
                print(f"  {words[0]};")
    print(" local: *;\n};")


main()
