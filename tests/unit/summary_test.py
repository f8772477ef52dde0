#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What is said at the end of a test run: what failed and why, and then the count."""
import json
import os
import subprocess
import sys
import tempfile
import traceback

TOOL = sys.argv[1]


def summary(*tests, runs=True, reasons=None, options=None):
    """What is printed about a run with these tests, its lines; and the exit status."""
    with tempfile.TemporaryDirectory(prefix="gpualloc-test-") as build:
        if runs:
            os.mkdir(os.path.join(build, "meson-logs"))
            with open(os.path.join(build, "meson-logs", "testlog.json"), "w",
                      encoding="utf-8") as log:
                for name, result, stdout, stderr in tests:
                    print(json.dumps({"name": name, "result": result, "stdout": stdout,
                                      "stderr": stderr}), file=log)
        words = [build]
        if options:
            os.mkdir(os.path.join(build, "meson-info"))
            with open(os.path.join(build, "meson-info", "intro-buildoptions.json"), "w",
                      encoding="utf-8") as file:
                json.dump([{"name": name, "value": value} for name, value in options.items()], file)
        if reasons is not None:
            words = ["--skips", os.path.join(build, "reasons"), build]
            with open(words[1], "w", encoding="utf-8") as file:
                file.write(reasons)
        done = subprocess.run([sys.executable, TOOL, *words], capture_output=True, text=True,
                              check=False, env={**os.environ, "LC_ALL": "C"})
    assert done.stderr == "", done.stderr
    return done.stdout.splitlines(), done.returncode


GOOD = ("good", "OK", "1..3\n# all is well\nok 1 - a\nok 2 - b # SKIP no time\nok 3 - c\n", "")


def a_run_without_failure_is_one_line():
    whole = [("skipped", "SKIP", "1..0 # SKIP no\n", ""), ("no tap", "OK", "hello\n", "")]
    assert summary(GOOD, *whole) == (["3 passed, 0 failed, 2 skipped"], 0)


def a_failed_case_is_shown_with_its_own_lines():
    lines, code = summary(GOOD, ("bad", "FAIL", "1..3\n# of the first\nok 1 - a\n# of the second\n"
                                 "# is 1, expected 2\nnot ok 2 - b\n# of the third\nok 3 - c\n",
                                 "noise"))
    assert code == 1 and lines[-1] == "4 passed, 1 failed, 1 skipped", lines
    assert lines[1].endswith(": bad: FAIL"), lines
    assert lines[2:-2] == ["  not ok: b", "    # of the second", "    # is 1, expected 2"], lines


def long_and_strange_lines_are_cut_and_escaped():
    text = "".join(f"# line {number}\n" for number in range(100))
    lines, _ = summary(("bad", "FAIL", f"1..1\n{text}# \x1b[2J\x07\u202e{'x' * 1000}\n"
                        "not ok 1 - \x1b[31m\n", ""))
    shown = lines[3:-2]
    assert lines[2] == r"  not ok: \x1b[31m" and len(shown) == 31, lines
    assert shown[0] == "    # line 0" and "71 lines" in shown[5], shown
    assert shown[-1].startswith(r"    # \x1b[2J\x07\u202exxx") and len(shown[-1]) < 420, shown


def a_program_that_died_is_shown_by_its_end():
    text = "".join(f"line {number}\n" for number in range(100))
    for result, stdout in (("ERROR", text), ("TIMEOUT", "1..9\nok 1 - a\n" + text)):
        lines, code = summary(("dies", result, stdout, "its last words\n"))
        assert code == 1 and lines[-1].endswith(" passed, 1 failed, 0 skipped"), lines
        assert lines[-3] == "    its last words" and "    line 99" in lines, lines
        assert len(lines) < 30, lines


def both_are_shown_where_a_case_failed_and_then_it_died():
    lines, _ = summary(("dies", "ERROR", "1..2\n# why\nnot ok 1 - a\n", "Killed\n"))
    assert "    # why" in lines and "    Killed" in lines, lines


def without_a_run_it_is_said():
    lines, code = summary(runs=False)
    assert code == 1 and lines[-1] == "0 passed, 1 failed, 0 skipped", lines


REASONS = "# why\nmachine no time\nmachine odd [x]? *\nsanitizer the sanitizer *\n"


def a_skip_for_a_reason_of_the_machine_s_own_is_none_of_ours():
    spoken = ("C", "OK", "1..1\n# skip: odd [x]? and more\nok 1 - c # SKIP\n", "")
    whole = ("whole", "SKIP", "1..0 # SKIP no time\n", "")
    assert summary(GOOD, spoken, whole, reasons=REASONS) == (["2 passed, 0 failed, 3 skipped"], 0)


def any_other_skip_has_failed():
    for result, stdout in (("OK", "1..1\nok 1 - c # SKIP no tmux\n"),
                           ("OK", "1..1\n# skip: no tmux\nok 1 - c # SKIP\n"),
                           ("SKIP", "1..0 # SKIP no tmux\n"), ("SKIP", "")):
        lines, code = summary(GOOD, ("skips", result, stdout, ""), reasons=REASONS)
        assert code == 1 and lines[-1] == "2 passed, 1 failed, 1 skipped", (stdout, lines)
        assert "not the machine's: no " in lines[2], lines
        assert summary(GOOD, ("skips", result, stdout, ""))[1] == 0


def what_a_sanitizer_excuses_counts_only_in_a_build_with_one():
    test = ("skips", "OK", "1..1\nok 1 - c # SKIP the sanitizer is slow\n", "")
    for value, expected in (("none", 1), ("address", 0)):
        assert summary(test, reasons=REASONS, options={"b_sanitize": value})[1] == expected, value


CASES = [a_run_without_failure_is_one_line, a_failed_case_is_shown_with_its_own_lines,
         long_and_strange_lines_are_cut_and_escaped, a_program_that_died_is_shown_by_its_end,
         both_are_shown_where_a_case_failed_and_then_it_died, without_a_run_it_is_said,
         a_skip_for_a_reason_of_the_machine_s_own_is_none_of_ours, any_other_skip_has_failed,
         what_a_sanitizer_excuses_counts_only_in_a_build_with_one]


def main():
    failed = False
    print(f"1..{len(CASES)}")
    for number, case in enumerate(CASES, 1):
        name = case.__name__.replace("_", " ")
        try:
            case()
            print("ok", number, "-", name)
        except Exception:  # the other cases are still worth running
            failed = True
            for line in traceback.format_exc().splitlines():
                print("#", line)
            print("not ok", number, "-", name)
    return failed


if __name__ == "__main__":
    sys.exit(main())
