#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A wheel as a person installs it: by Debian's pip into a fresh environment, and then used; and what is in
the file. `make check-wheel` runs this; no network is used.

Arguments: the project's folder, wheels. One for another kind of machine is only looked at, and run if
qemu-user is here."""
import base64
import csv
import glob
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import traceback
import zipfile

ROOT, *WHEELS = map(os.path.abspath, sys.argv[1:])
PYTHON = "/usr/bin/python3"
NEWEST_GLIBC = (2, 34)
LARGEST = 1 << 20
ELF_MACHINES = {"x86_64": "X86-64", "aarch64": "AArch64"}
QEMU_ROOTS = {"aarch64": "/usr/aarch64-linux-gnu"}


class Skip(Exception):
    """Why a case cannot be run here."""


def output(*words, **more):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, **more)
    assert done.returncode == 0, f"{words}: exit {done.returncode}, {done.stdout!r}, {done.stderr!r}"
    return done.stdout


class Wheel:
    def __init__(self, path):
        self.path = path
        name = os.path.basename(path)
        self.version, self.tag, self.arch = re.fullmatch(
            r"gpualloc-([\d.]+)-(py3-none-manylinux_2_34_(\w+))\.whl", name).groups()
        self.info = f"gpualloc-{self.version}.dist-info"
        self.command = f"gpualloc-{self.version}.data/scripts/gpualloc"
        self.is_ours = self.arch == os.uname().machine
        self.archive = zipfile.ZipFile(path)
        self.names = self.archive.namelist()
        self.library, = [name for name in self.names if "/libgpualloc.so" in name]

    def text(self, name):
        return self.archive.read(name).decode()

    def unpack(self, where, *names):
        for name in names:
            path = os.path.join(where, os.path.basename(name))
            with open(path, "wb") as file:
                file.write(self.archive.read(name))
            os.chmod(path, 0o755)
            yield path


# ---- the file ----

def it_has_what_it_should_and_nothing_else(wheel):
    assert os.path.getsize(wheel.path) <= LARGEST, os.path.getsize(wheel.path)
    assert len(set(wheel.names)) == len(wheel.names)
    package = {name for name in wheel.names if name.startswith("gpualloc/")}
    sources = {os.path.relpath(path, f"{ROOT}/bindings/python")
               for path in glob.glob(f"{ROOT}/bindings/python/gpualloc/**", recursive=True)
               if path.endswith((".py", ".pyi", "py.typed"))}
    assert package == sources | {wheel.library}, package ^ (sources | {wheel.library})
    data = f"gpualloc-{wheel.version}.data/data/share/man"
    assert set(wheel.names) - package == {
        wheel.command, f"{data}/man1/gpualloc.1", f"{data}/man5/gpualloc-machine.5",
        f"{data}/man5/gpualloc.conf.5",
        *(f"{wheel.info}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "LICENSE", "LICENSE.expat",
                                               "LICENSE.jansson"))}, wheel.names


def its_list_is_right(wheel):
    rows = list(csv.reader(io.StringIO(wheel.text(f"{wheel.info}/RECORD"))))
    assert sorted(row[0] for row in rows) == sorted(wheel.names), "names differ"
    for name, digest, size in rows:
        if name.endswith("/RECORD"):
            assert (digest, size) == ("", "")
            continue
        content = wheel.archive.read(name)
        found = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        assert (digest, int(size)) == (f"sha256={found}", len(content)), name


def it_says_what_it_is(wheel):
    said = wheel.text(f"{wheel.info}/METADATA")
    for line in ("Name: gpualloc", f"Version: {wheel.version}", "License: Apache-2.0",
                 "Description-Content-Type: text/markdown"):
        assert f"\n{line}\n" in "\n" + said, line
    assert f"Tag: {wheel.tag}\n" in wheel.text(f"{wheel.info}/WHEEL")
    assert "Root-Is-Purelib: false\n" in wheel.text(f"{wheel.info}/WHEEL")
    for part in ("expat", "jansson"):
        assert "ermission" in wheel.text(f"{wheel.info}/LICENSE.{part}")


def what_is_executed_may_be(wheel):
    for entry in wheel.archive.infolist():
        mode = entry.external_attr >> 16
        assert mode & 0o777 == (0o755 if entry.filename in (wheel.command, wheel.library) else 0o644), entry


def it_needs_only_a_c_library_that_is_old_enough(wheel):
    with tempfile.TemporaryDirectory(prefix="gpualloc-wheel-") as where:
        for path in wheel.unpack(where, wheel.command, wheel.library):
            assert ELF_MACHINES[wheel.arch] in output("readelf", "-h", path)
            versions = re.findall(r"Name: GLIBC_([\d.]+)", output("readelf", "-V", path))
            assert versions and all(tuple(map(int, version.split("."))) <= NEWEST_GLIBC
                                    for version in versions), versions
            needed = re.findall(r"NEEDED.*\[(.*)\]", output("readelf", "-d", path))
            assert "libc.so.6" in needed, needed
            assert all(name == "libc.so.6" or name.startswith("ld-linux-") for name in needed), needed
            assert "RUNPATH" not in output("readelf", "-d", path)


def its_library_shows_its_own_calls_and_nothing_of_its_parts(wheel):
    with open(f"{ROOT}/src/api/gpualloc.map", encoding="utf-8") as file:
        calls = set(re.findall(r"gpualloc_\w+", file.read()))
    with tempfile.TemporaryDirectory(prefix="gpualloc-wheel-") as where:
        path, = wheel.unpack(where, wheel.library)
        rows = [line.split() for line in output("readelf", "-W", "--dyn-syms", path).splitlines()]
    shown = {row[7].split("@")[0] for row in rows if len(row) > 7 and row[6].isdigit() and row[4] != "LOCAL"}
    assert shown == calls, shown ^ calls


def nothing_of_the_machine_that_built_it_is_inside(wheel):
    for name in wheel.names:
        assert ROOT.encode() not in wheel.archive.read(name), name


def it_is_made_again_byte_for_byte(wheel):
    with tempfile.TemporaryDirectory(prefix="gpualloc-wheel-") as where:
        output(f"{ROOT}/tools/wheel", "--arch", wheel.arch, "--output", where, cwd=ROOT)
        with open(wheel.path, "rb") as one, open(f"{where}/{os.path.basename(wheel.path)}", "rb") as other:
            assert one.read() == other.read()


def another_kind_of_machine_runs_it(wheel):
    if wheel.is_ours:
        return
    qemu = shutil.which(f"qemu-{wheel.arch}") or shutil.which(f"qemu-{wheel.arch}-static")
    if not qemu:
        raise Skip(f"no qemu-{wheel.arch} here")
    with tempfile.TemporaryDirectory(prefix="gpualloc-wheel-") as where:
        path, = wheel.unpack(where, wheel.command)
        run = [qemu, "-L", QEMU_ROOTS[wheel.arch], path]
        assert wheel.version in output(*run, "version")
        assert "Tesla V100" in output(*run, "list", "--machine", "dgx1-volta")
        picked = output(*run, "pick", "--machine", "dgx1-volta", "-n", "4", "--format", "index")
        assert picked.strip().count(",") == 3, picked


# ---- installed ----

class Installed:
    """A fresh environment with the wheel in it; other users may look, as they may in /opt."""

    def __init__(self, wheel, where):
        self.wheel, self.where = wheel, f"{where}/environment"
        os.chmod(where, 0o755)
        output(PYTHON, "-m", "venv", self.where)
        self.before = self.files()
        output(f"{self.where}/bin/pip", "--no-cache-dir", "--disable-pip-version-check", "install", "--no-index",
               "--no-compile", wheel.path)
        self.command = f"{self.where}/bin/gpualloc"
        self.home = f"{where}/home"
        os.mkdir(self.home)
        os.chmod(self.home, 0o777)
        self.environment = {"PATH": f"{where}:/usr/bin:/bin", "HOME": self.home, "LC_ALL": "C.UTF-8",
                            "XDG_RUNTIME_DIR": self.home, "GPUALLOC_CONFIG": "/nonexistent"}
        with open(f"{where}/nvidia-smi", "w", encoding="utf-8") as file:
            file.write('#!/bin/sh\ncase "$*" in *-x*) exec cat '
                       f"'{ROOT}/tests/machines/xml/qx-h100.xml'" ';; *) exit 1 ;; esac\n')
        os.chmod(f"{where}/nvidia-smi", 0o755)

    def files(self):
        return {path for path in glob.glob(f"{self.where}/**", recursive=True) if "__pycache__" not in path}

    def run(self, *words, **more):
        return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                              env={**self.environment, **more})

    def stranger(self, *words):
        """Somebody without rights."""
        others = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
        return self.run(*others, *words, GPUALLOC_MACHINE="nvidia-smi")


def the_command_runs(one):
    done = one.run(one.command, "list", "--machine", "dgx1-volta")
    assert done.returncode == 0 and done.stdout.count("Tesla V100") == 8, done
    assert one.wheel.version in one.run(one.command, "version").stdout


def the_package_is_imported(one):
    done = one.run(f"{one.where}/bin/python", "-c", "import gpualloc; print(gpualloc.__version__)\n"
                   "print(len(gpualloc.machine('dgx1-volta').devices))")
    assert done.stdout == f"{one.wheel.version}\n8\n", done


def python_runs_the_command_that_came_with_it(one):
    done = one.run(f"{one.where}/bin/python", "-m", "gpualloc", "list", "--machine", "dgx1-volta")
    assert done.returncode == 0 and done.stdout.count("Tesla V100") == 8, done


def the_manual_is_where_man_looks(one):
    page = f"{one.where}/share/man/man1/gpualloc.1"
    with open(page, encoding="utf-8") as file:
        assert ".TH" in file.read()


def a_lease_of_an_invented_machine_works(one):
    done = one.run(one.command, "run", "--machine", "dgx1-volta", "-n", "2", "--", "sh", "-c",
                   'echo "$CUDA_VISIBLE_DEVICES"')
    assert done.returncode == 0 and re.fullmatch(r"\S+,\S+\n", done.stdout), done


def without_a_store_it_says_what_helps(one):
    if os.path.exists("/run/gpualloc"):
        raise Skip("this machine has a store")
    done = one.stranger(one.command, "run", "true")
    assert done.returncode == 77 and done.stdout == "", done
    assert "--private" in done.stderr, done
    # sudo does not look into environments, so the path is named.
    assert f"`sudo {one.command} setup`" in done.stderr, done


def a_store_of_one_s_own_works_without_rights(one):
    done = one.stranger(one.command, "run", "--private", "--ignore-processes", "--", "sh", "-c",
                        'echo "$CUDA_VISIBLE_DEVICES"')
    assert done.returncode == 0 and done.stdout.strip(), done


def pip_takes_everything_away(one):
    output(f"{one.where}/bin/pip", "--disable-pip-version-check", "uninstall", "-y", "gpualloc")
    left = {path for path in one.files() - one.before if not os.path.isdir(path)}
    assert not left, left


OF_FILES = [it_has_what_it_should_and_nothing_else, its_list_is_right, it_says_what_it_is,
            what_is_executed_may_be, it_needs_only_a_c_library_that_is_old_enough,
            its_library_shows_its_own_calls_and_nothing_of_its_parts,
            nothing_of_the_machine_that_built_it_is_inside, it_is_made_again_byte_for_byte,
            another_kind_of_machine_runs_it]
INSTALLED = [the_command_runs, the_package_is_imported, python_runs_the_command_that_came_with_it,
             the_manual_is_where_man_looks, a_lease_of_an_invented_machine_works,
             without_a_store_it_says_what_helps, a_store_of_one_s_own_works_without_rights,
             pip_takes_everything_away]


def attempt(number, case, given, wheel):
    name = f"{case.__name__.replace('_', ' ')} ({wheel.arch})"
    try:
        case(given)
        print("ok", number, "-", name, flush=True)
        return True
    except Skip as reason:
        print("ok", number, "-", name, "# SKIP", reason, flush=True)
        return True
    except Exception:  # the other cases are still worth running
        print("# " + traceback.format_exc().replace("\n", "\n# "))
        print("not ok", number, "-", name, flush=True)
        return False


def main():
    wheels = [Wheel(path) for path in WHEELS]
    print(f"1..{sum(len(OF_FILES) + len(INSTALLED) * wheel.is_ours for wheel in wheels)}")
    number, good = 0, bool(wheels)
    for wheel in wheels:
        for case in OF_FILES:
            number += 1
            good &= attempt(number, case, wheel, wheel)
        if wheel.is_ours:
            with tempfile.TemporaryDirectory(prefix="gpualloc-wheel-") as where:
                one = Installed(wheel, where)
                for case in INSTALLED:
                    number += 1
                    good &= attempt(number, case, one, wheel)
    return not good


if __name__ == "__main__":
    sys.exit(main())
