#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A build folder that was set up before something was installed finds it afterwards: `make demo` and
then `make check` test the plugin for Slurm, whose header only `make check` installs.

Arguments: the project's folder, the C compiler. Both the packages and the header are ours to take away:
the compiler is a script that knows no Slurm while a file is missing, dpkg-query one that prints a file."""
import os
import shlex
import stat
import subprocess
import sys
import tempfile

ROOT, COMPILER = sys.argv[1], sys.argv[2:]


class Machine:
    def __init__(self, where):
        self.where, self.build = where, os.path.join(where, "build")
        self.tools = os.path.join(where, "bin")
        os.mkdir(self.tools)
        self.script("compiler", f"""case " $* " in
*slurm/spank.h*) [ -e {shlex.quote(where)}/header ] || exit 1 ;;
esac
exec {shlex.join(COMPILER)} "$@"
""")
        self.script("dpkg-query", f"""case $* in
*Version*) cat {shlex.quote(where)}/packages ;;
*) echo installed ;;
esac
""")
        self.install("installed meson 1\n")

    def script(self, name, text):
        path = os.path.join(self.tools, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\n" + text)
        os.chmod(path, stat.S_IRWXU)

    def install(self, packages):
        with open(os.path.join(self.where, "packages"), "w", encoding="utf-8") as file:
            file.write(packages)

    def configure(self):
        """What it printed."""
        environment = {**os.environ, "CC": os.path.join(self.tools, "compiler"),
                       "PATH": self.tools + os.pathsep + os.environ["PATH"]}
        done = subprocess.run([os.path.join(ROOT, "tools/configure"), self.build, "-Dtests=false",
                               "-Dman=disabled"], cwd=ROOT, env=environment, text=True, check=False,
                              stdin=subprocess.DEVNULL, capture_output=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def has_plugin(self):
        with open(os.path.join(self.build, "build.ninja"), encoding="utf-8") as file:
            return "spank_gpualloc" in file.read()


def what_was_installed_later_is_found(one):
    one.configure()
    assert not one.has_plugin()
    with open(os.path.join(one.where, "header"), "w", encoding="utf-8"):
        one.install("installed meson 1\ninstalled libslurm-dev 22\n")
    one.configure()
    assert one.has_plugin()


def nothing_is_done_twice(one):
    assert one.configure() == ""


def a_package_that_has_changed_is_looked_at(one):
    one.install("installed meson 1\ninstalled libslurm-dev 23\n")
    assert "spank.h" in one.configure()
    assert one.configure() == ""


CASES = [what_was_installed_later_is_found, nothing_is_done_twice, a_package_that_has_changed_is_looked_at]


def main():
    bad = False
    if subprocess.run([*COMPILER, "-fsyntax-only", "-x", "c", "-include", "slurm/spank.h", "/dev/null"],
                      stderr=subprocess.DEVNULL, check=False).returncode:
        print("1..0 # SKIP no slurm/spank.h")
        return False
    print(f"1..{len(CASES)}")
    with tempfile.TemporaryDirectory(prefix="gpualloc-configure-") as where:
        one = Machine(where)
        for number, case in enumerate(CASES, 1):
            try:
                case(one)
                word = "ok"
            except AssertionError as error:
                word, bad = "not ok", True
                print("#", str(error).replace("\n", "\n# ") or repr(error))
            print(word, number, "-", case.__name__.replace("_", " "))
    return bad


if __name__ == "__main__":
    sys.exit(main())
