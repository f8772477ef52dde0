#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The table of rooms in ARCHITECTURE.md holds: in the built archives no room uses a symbol of a room
that its row does not name, no file includes a header of one, and no two rooms use each other.

Arguments: the project's folder, then ROOM=ARCHIVE pairs."""
import collections
import os
import re
import subprocess
import sys

PUBLIC = "include/gpualloc"
# The whole library stands behind the public header.
BEHIND = {PUBLIC: "src/api"}


def read_table(text):
    """{room: rooms that it may use}, in the order of the table's rows."""
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")]
            for line in text.splitlines() if line.startswith("| `")]
    names = [re.match(r"`([^`]+)`", row[0]).group(1) for row in rows if len(row) == 3]
    words = {name.split("/")[-1] if name.startswith("src/") else name: name for name in names}
    words["the public header"] = PUBLIC
    table = {}
    for row, name in zip([row for row in rows if len(row) == 3], names):
        allowed = re.split(r"[,;] *", row[2].replace("`", ""))
        table[name] = [words[word] for word in allowed if word in words]
    return table


def faults_of_symbols(table, defined, used):
    """Sentences: a room that uses what a room defines that it may not use."""
    owner = {symbol: room for room, symbols in defined.items() for symbol in symbols}
    for room, symbols in used.items():
        allowed = {room, *table[room], *(BEHIND.get(other) for other in table[room])}
        for symbol in sorted(symbols):
            if symbol in owner and owner[symbol] not in allowed:
                yield f"{room} uses {symbol}, which is {owner[symbol]}'s"


def faults_of_order(table):
    """Sentences: a row that names a room below it, which is how a circle would begin."""
    order = list(table)
    for room, allowed in table.items():
        for other in allowed:
            if other != PUBLIC and order.index(other) >= order.index(room):
                yield f"{room} may use {other}, which does not stand above it"


def faults_of_includes(table, headers, includes):
    """headers: {room: names below it}; includes: (room, file, name, folder of the file)."""
    for room, path, name, folder in includes:
        near = os.path.normpath(os.path.join(folder, name))
        if near in headers[room]:
            continue
        homes = [other for other in headers
                 if {f"{other}/{name}", f"{os.path.dirname(other)}/{name}"} & headers[other]]
        if homes and not {room, *table[room]} & set(homes):
            yield f"{path} includes {name} of {' or '.join(homes)}"


def symbols_of(archive):
    listing = subprocess.run(["nm", "-g", archive], capture_output=True, text=True,
                             check=True).stdout
    defined, used = set(), set()
    for line in listing.splitlines():
        words = line.split()
        if len(words) >= 2 and words[-2] in "TDRBVWC":
            defined.add(words[-1])
        elif len(words) >= 2 and words[-2] == "U":
            used.add(words[-1])
    return defined, used - defined


def sources_of(root, room, rooms):
    """Files of a room; what lies in a folder that is a room of its own is that one's."""
    for folder, folders, files in os.walk(os.path.join(root, room)):
        here = os.path.relpath(folder, root)
        folders[:] = [name for name in folders if f"{here}/{name}" not in rooms]
        for name in files:
            if name.endswith((".c", ".h")):
                yield f"{here}/{name}"


def read_includes(root, table):
    """Of the rooms that are built; tests may reach anywhere."""
    headers, includes = collections.defaultdict(set), []
    for room in ARCHIVES:
        for path in sources_of(root, room, table):
            headers[room].add(path)
            with open(os.path.join(root, path), encoding="utf-8") as file:
                includes += [(room, path, name, os.path.dirname(path))
                             for name in re.findall(r'^#include "([^"]+)"', file.read(), re.M)]
    return headers, includes


# ---- the cases ----

ROOT = sys.argv[1]
ARCHIVES = dict(argument.split("=", 1) for argument in sys.argv[2:])
with open(os.path.join(ROOT, "ARCHITECTURE.md"), encoding="utf-8") as document:
    TABLE = read_table(document.read())
SYMBOLS = {room: symbols_of(archive) for room, archive in ARCHIVES.items()}
DEFINED = {room: defined for room, (defined, _) in SYMBOLS.items()}
USED = {room: used for room, (_, used) in SYMBOLS.items()}


def every_room_has_a_row_and_every_row_an_archive():
    code = {room for room in TABLE if room.split("/")[0] in ("src", "probe", "cli", "compat", "engines")}
    return [f"{room} is in only one of the table and the build" for room in code ^ set(ARCHIVES)]


def the_table_has_no_circle():
    return list(faults_of_order(TABLE))


def no_room_uses_a_symbol_that_is_not_for_it():
    return list(faults_of_symbols(TABLE, DEFINED, USED))


def no_file_includes_a_header_that_is_not_for_it():
    return list(faults_of_includes(TABLE, *read_includes(ROOT, TABLE)))


def planted_edges_are_found():
    up = {**USED, "src/util": USED["src/util"] | {min(DEFINED["src/lease"])}}
    through = {**USED, "src/lease": USED["src/lease"] | {min(DEFINED["src/api"])}}
    headers, includes = read_includes(ROOT, TABLE)
    header = next(path for path in sorted(headers["src/lease"]) if path.endswith(".h"))
    planted = [("src/util", "src/util/planted.c", os.path.basename(header), "src/util")]
    circle = {**TABLE, "src/util": [*TABLE["src/util"], "src/lease"]}
    found = {
        "a symbol of a room below": list(faults_of_symbols(TABLE, DEFINED, up)),
        "a way round through the public header": list(faults_of_symbols(TABLE, DEFINED, through)),
        "a header of a room below": list(faults_of_includes(TABLE, headers, includes + planted)),
        "a circle in the table": list(faults_of_order(circle)),
    }
    return [f"not found: {what}" for what, sentences in found.items() if not sentences]


CASES = [every_room_has_a_row_and_every_row_an_archive, the_table_has_no_circle,
         no_room_uses_a_symbol_that_is_not_for_it, no_file_includes_a_header_that_is_not_for_it,
         planted_edges_are_found]
print(f"1..{len(CASES)}")
BAD = 0
for number, case in enumerate(CASES, 1):
    faults = case()
    for fault in faults:
        print("#", fault)
    BAD += bool(faults)
    print("not ok" if faults else "ok", number, "-", case.__name__.replace("_", " "))
sys.exit(BAD > 0)
