# SPDX-License-Identifier: Apache-2.0
"""A copy of this machine to install things in: its files under an overlay whose changes lie in memory,
its own processes and no network. All of it ends with the process that enter() starts, so the machine
itself stays as it is."""
import os
import shutil
import subprocess
import sys
import tempfile

# Runs as process 1 of the copy; what it mounts, nobody else sees.
ENTER = """
set -e
where=$1 tests=$2 given=$3; shift 3
mount -t tmpfs -o mode=0755 gpualloc-test "$where"
mkdir "$where/upper" "$where/work" "$where/root"
chmod 0755 "$where/upper"
mount -t overlay -o "lowerdir=/,upperdir=$where/upper,workdir=$where/work" overlay "$where/root"
cd "$where/root"
for folder in tmp run; do mount -t tmpfs -o mode=0755 tmpfs "$folder"; done
chmod 1777 tmp
mkdir tmp/tests tmp/given
mount --bind "$tests" tmp/tests
mount --bind "$given" tmp/given
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
exec chroot . /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \\
  DEBIAN_FRONTEND=noninteractive PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$@"
"""
NAMESPACES = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child",
              "--net", "--ipc"]


def why_not():
    """Why there can be no such copy here, or ""."""
    if os.geteuid() != 0:
        return "only root can mount"
    for program in ("unshare", "chroot"):
        if not shutil.which(program):
            return f"{program} is not installed"
    with tempfile.TemporaryDirectory(prefix="gpualloc-test-") as where:
        done = enter(where, where, "-c", "", stderr=subprocess.PIPE)
    return "" if done.returncode == 0 else f"no copy of this machine: {done.stderr.strip()}"


def enter(where, given, *words, **options):
    """Runs Python in the copy with these words; /tmp/given there is the folder `given`, /tmp/tests that
    of the tests. Mounts lie on `where`, an empty folder."""
    here = os.path.dirname(os.path.abspath(__file__))
    return subprocess.run([*NAMESPACES, "sh", "-c", ENTER, "sh", where, here, given, *words],
                          stdin=subprocess.DEVNULL, text=True, check=False, **options)


def stay_outside(script, given):
    """For a script that is to run in a copy: starts it there with the word "inside" and ends as it ends.
    Where that cannot be, one TAP line says why."""
    reason = why_not()
    if reason:
        print(f"1..0 # SKIP {reason}")
        sys.exit(0)
    with tempfile.TemporaryDirectory(prefix="gpualloc-test-") as where:
        done = enter(where, given, "/tmp/tests/" + os.path.basename(script), "inside")
    sys.exit(done.returncode)
