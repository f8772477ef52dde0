#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What programs compiled against the library rely on is still there: abidiff holds the library against
src/api/gpualloc.abi. Functions may come; none may go or change.

Arguments: the record, the library, tools/record-abi, why not (or "")."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

RECORD, LIBRARY, RECORD_ABI, WHY_NOT = sys.argv[1:]
FUNCTION = "gpualloc_device_utilization"


def record_now():
    """What would be recorded of the library as it is."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "now.abi")
        subprocess.run([RECORD_ABI, LIBRARY, path], stdin=subprocess.DEVNULL, check=True)
        with open(path, encoding="utf-8") as file:
            return file.read()


def difference(record):
    """What abidiff has to say of the library against a record; "" where programs go on as they are."""
    with tempfile.TemporaryDirectory() as folder:
        path, now = os.path.join(folder, "recorded.abi"), os.path.join(folder, "now.abi")
        # Not with the library itself: there abidiff sees what is behind opaque types, and takes one
        # for the other.
        for name, text in ((path, record), (now, NOW)):
            with open(name, "w", encoding="utf-8") as file:
                file.write(text)
        done = subprocess.run(["abidiff", "--no-added-syms", path, now], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False)
    # 1 and 2 are failures of abidiff's own, 4 and 8 are differences.
    assert done.returncode & 3 == 0 and done.returncode >= 0, f"{done.returncode}: {done.stderr}"
    return done.stdout if done.returncode else ""


def planted(pattern, into):
    changed, times = re.subn(pattern, into, NOW, count=1, flags=re.S)
    assert times == 1, f"the record has no {pattern}"
    return changed


def declared(name):
    """The record's lines about a function."""
    return rf"    <function-decl name='{name}' .*?</function-decl>\n"


def the_library_has_what_was_recorded():
    found = difference(RECORDED)
    assert not found, (f"{found}\nPrograms that were built before would break. If that is meant, and "
                       "no release has what was there before, run tools/record-abi.")


def a_function_that_is_gone_is_found():
    found = difference(NOW.replace(FUNCTION, FUNCTION + "_of_old"))
    assert FUNCTION + "_of_old" in found, found


def a_function_that_takes_something_else_is_found():
    block = re.search(declared(FUNCTION), NOW, re.S).group()
    other = re.search(declared("gpualloc_process_pid"), NOW, re.S).group()
    parameter = re.compile(r"<parameter type-id='[^']*'")
    changed = parameter.sub(parameter.search(other).group(), block)
    assert changed != block
    found = difference(NOW.replace(block, changed))
    assert FUNCTION in found, found


def a_constant_of_another_value_is_found():
    found = difference(planted(r"(name='GPUALLOC_LEVEL_PIX' value=')5'", r"\g<1>50'"))
    assert "GPUALLOC_LEVEL_PIX" in found, found


def a_function_that_came_is_no_difference():
    without = planted(declared(FUNCTION), "")
    without, times = re.subn(rf"    <elf-symbol name='{FUNCTION}' [^\n]*\n", "", without)
    assert times == 1 and FUNCTION not in without
    assert difference(without) == ""


def the_record_does_not_depend_on_who_makes_it():
    assert record_now() == NOW
    for text in (NOW, RECORDED):
        assert not re.search(r"='[^']*/", text), "it names a folder"


CASES = [the_library_has_what_was_recorded, a_function_that_is_gone_is_found,
         a_function_that_takes_something_else_is_found, a_constant_of_another_value_is_found,
         a_function_that_came_is_no_difference, the_record_does_not_depend_on_who_makes_it]

with open(RECORD, encoding="utf-8") as recorded:
    RECORDED = recorded.read()
if not WHY_NOT and not (shutil.which("abidiff") and shutil.which("abidw")):
    WHY_NOT = "no abidiff (Debian's abigail-tools)"
if not WHY_NOT:
    sections = subprocess.run(["readelf", "-SW", LIBRARY], capture_output=True, text=True, check=True)
    if ".debug_info" not in sections.stdout:
        WHY_NOT = "the library has no debug information"
NOW = record_now() if not WHY_NOT else ""
print(f"1..{len(CASES)}")
bad = 0
for number, case in enumerate(CASES, 1):
    name = case.__name__.replace("_", " ")
    if WHY_NOT:
        print(f"ok {number} - {name} # SKIP {WHY_NOT}")
        continue
    try:
        case()
        print(f"ok {number} - {name}")
    except AssertionError as error:
        bad += 1
        print("".join(f"# {line}\n" for line in str(error).splitlines()) + f"not ok {number} - {name}")
sys.exit(bad > 0)
