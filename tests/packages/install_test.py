#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `make install` and the Debian packages put where. Nothing is installed but into a folder.

Environment: BUILD, SOURCE, GPUALLOC, WHY_NO_PROGRAM (a reason, or "")."""
import fnmatch
import glob
import grp
import json
import os
import re
import shutil
import stat
import subprocess

import cli
from cli import Skip, case, folder, main

BUILD, SOURCE = os.environ["BUILD"], os.environ["SOURCE"]
WHY_NO_PROGRAM = os.environ["WHY_NO_PROGRAM"]
DEBIAN = f"{SOURCE}/packaging/debian"


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def done(*words, **options):
    result = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                            **options)
    assert result.returncode == 0, f"{words}: exit {result.returncode}\n{result.stdout}{result.stderr}"
    return result.stdout


def options():
    return {option["name"]: option["value"] for option in
            json.loads(done("meson", "introspect", "--buildoptions", BUILD))}


def installed():
    """What is installed, as a package has it: below usr, whatever the prefix of this build is."""
    prefix = options()["prefix"]
    paths = json.loads(done("meson", "introspect", "--installed", BUILD)).values()
    # Debian's build is shared, whatever this one is.
    return sorted(re.sub(f"^{re.escape(prefix)}", "usr", path).lstrip("/") for path in paths
                  if not path.endswith("/libgpualloc.a"))


def patterns(package):
    for line in read(f"{DEBIAN}/{package}.install").splitlines():
        if line and not line.startswith("#"):
            yield line.split()[0].replace("${env:UNIT_DIR}", "usr/lib/systemd/system")


def packages():
    return re.findall(r"^Package: (.*)$", read(f"{DEBIAN}/control"), re.MULTILINE)


def debian_path(path):
    """Debian's Slurm and Python have folders of their own, and libraries lie by architecture."""
    path = re.sub(r"^usr/lib/python3[^/]*/[^/]*-packages/", "usr/lib/python3/dist-packages/", path)
    path = re.sub(r"(^|/)slurm/spank_", r"\1slurm-wlm/spank_", path)
    return re.sub(r"^usr/lib/(?=libgpualloc|pkgconfig|slurm-wlm)", "usr/lib/any/", path)


@case
def each_installed_file_is_in_one_debian_package():
    if options()["prefix"] not in ("/usr", "/usr/local"):
        raise Skip("this build has another prefix")
    for path in map(debian_path, installed()):
        owners = [package for package in packages()
                  if any(fnmatch.fnmatch(path, pattern) for pattern in patterns(package))]
        assert len(owners) == 1, f"{path} is in these packages: {owners}"


@case
def the_library_package_follows_the_library():
    number = re.search(r"soversion: '(\d+)'", read(f"{SOURCE}/src/api/meson.build")).group(1)
    assert f"libgpualloc{number}" in packages(), number
    symbols = read(f"{DEBIAN}/libgpualloc{number}.symbols")
    assert symbols.startswith(f"libgpualloc.so.{number} libgpualloc{number} "), symbols
    # Each release has a version node; its line names the first version of the package that has it.
    for node in re.findall(r"^(GPUALLOC_[\d.]+) \{", read(f"{SOURCE}/src/api/gpualloc.map"), re.MULTILINE):
        assert f" (symver){node} {node.split('_')[1]}" in symbols, node


@case
def the_configuration_that_is_shipped_sets_nothing_and_every_line_may_be_taken():
    text = read(f"{SOURCE}/packaging/gpualloc.conf")
    assert not re.search(r"^[^#\n]", text, re.MULTILINE), text
    lines = re.findall(r"^#([a-z-]+ = .*)$", text, re.MULTILINE)
    assert len(lines) > 4, text
    taken = "\n".join(lines).replace("vision", grp.getgrgid(0).gr_name)
    taken = re.sub(r"GPU-\w+", "GPU-e2dc0662", taken) + "\n"  # one that this machine has
    with folder() as where:
        path = f"{where}/gpualloc.conf"
        for content in (text, taken):
            with open(path, "w", encoding="utf-8") as file:
                file.write(content)
            os.chmod(path, 0o644)
            said = cli.ok("list", "--machine", "dgx1-volta", env={"GPUALLOC_CONFIG": path})
            assert ("ticket 4711" in said) == (content is taken), said


def tree(where):
    """Each path below with its kind, mode and owner."""
    found = {}
    for base, names, files in os.walk(where):
        for name in [".", *names, *files]:
            path = os.path.normpath(os.path.join(base, name))
            status = os.lstat(path)
            found[os.path.relpath(path, where)] = (stat.filemode(status.st_mode), status.st_uid,
                                                   status.st_gid, status.st_size * stat.S_ISREG(status.st_mode))
    return found


@case
def systemd_tmpfiles_makes_the_store_that_setup_makes():
    if not shutil.which("systemd-tmpfiles"):
        raise Skip("systemd-tmpfiles is not installed")
    if os.geteuid() != 0:
        raise Skip("only root can make a store of root's")
    with folder() as where:
        os.chmod(where, 0o755)
        by_setup, by_tmpfiles = f"{where}/store", f"{where}/root/run/gpualloc"
        os.mkdir(f"{where}/root")
        cli.ok("setup", env={"GPUALLOC_STATE_DIR": by_setup}, umask=0o077)
        create = ["systemd-tmpfiles", "--create", f"--root={where}/root", f"{SOURCE}/systemd/tmpfiles.conf"]
        done(*create, umask=0o077)
        assert tree(by_tmpfiles) == tree(by_setup), (tree(by_tmpfiles), tree(by_setup))
        cli.ok("setup", "--check", env={"GPUALLOC_STATE_DIR": by_tmpfiles})
        # What is held in it survives that it is run again, as it is when packages are installed.
        before = os.stat(f"{by_tmpfiles}/ledger").st_ino
        done(*create)
        done("systemd-tmpfiles", "--clean", f"--root={where}/root", f"{SOURCE}/systemd/tmpfiles.conf")
        assert os.stat(f"{by_tmpfiles}/ledger").st_ino == before and tree(by_tmpfiles) == tree(by_setup)


@case
def make_install_puts_the_store_at_boot_where_systemd_looks():
    with folder() as where:
        done("meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", where)
        prefix = where + options()["prefix"]
        (line,) = [path for path in glob.glob(f"{where}/**/tmpfiles.d/gpualloc.conf", recursive=True)]
        assert read(line) == read(f"{SOURCE}/systemd/tmpfiles.conf")
        (unit,) = [path for path in glob.glob(f"{where}/**/gpualloc-store.service", recursive=True)]
        program = re.search(r"^ExecStart=(\S+) setup$", read(unit), re.MULTILINE).group(1)
        assert os.access(where + program, os.X_OK), program
        if options()["prefix"] in ("/usr", "/usr/local"):
            assert line == f"{prefix}/lib/tmpfiles.d/gpualloc.conf"
            assert os.path.basename(os.path.dirname(unit)) == "system"


@case
def a_cmake_project_finds_what_make_install_installed():
    if WHY_NO_PROGRAM:
        raise Skip(WHY_NO_PROGRAM)
    if not shutil.which("cmake"):
        raise Skip("cmake is not installed")
    with folder() as where:
        done("meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", f"{where}/root")
        prefix = options()["prefix"]
        library = f"{where}/root{prefix}/{options()['libdir']}"
        found = f"{library}/pkgconfig/gpualloc.pc"
        text = read(found)
        assert f"prefix={prefix}\n" in text, text
        with open(found, "w", encoding="utf-8") as file:
            file.write(text.replace(f"prefix={prefix}\n", f"prefix={where}/root{prefix}\n"))
        static = ["-DPKG_CONFIG_ARGN=--static"] * (options()["default_library"] == "static")
        done("cmake", *static, "-S", f"{SOURCE}/examples/cmake", "-B", f"{where}/build",
             env={**os.environ, "PKG_CONFIG_PATH": os.path.dirname(found)})
        done("cmake", "--build", f"{where}/build")
        said = done(f"{where}/build/by_memory", "1GiB", "best-fit", "dgx1-volta",
                    env={**cli.environment(), "LD_LIBRARY_PATH": library})
        assert said.startswith("cuda:") and "MiB free" in said, said


main()
