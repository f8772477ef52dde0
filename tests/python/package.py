# SPDX-License-Identifier: Apache-2.0
"""What the tests of the Python package share: the package with the built library beside it, as a
wheel has it, and programs that use it in processes of their own."""
import atexit
import os
import select
import shutil
import subprocess
import sys
import tempfile

from cli import environment

SOURCE, LIBRARY = os.environ["PYTHON_PACKAGE"], os.environ["LIBRARY"]
PATIENCE = 60  # seconds after which an expected event counts as hanging

if os.environ["SANITIZED"] == "yes":
    print("1..0 # SKIP the library needs a sanitizer that python3 has not")
    sys.exit(0)


def lay(where, library=LIBRARY, name="libgpualloc.so.1"):
    """The package in a folder, with that library beside it; None: without one."""
    package = os.path.join(where, "gpualloc")
    shutil.copytree(SOURCE, package, ignore=shutil.ignore_patterns("__pycache__"))
    if library:
        shutil.copy(library, os.path.join(package, name))
    return where


def folder():
    where = tempfile.mkdtemp(prefix="gpualloc-python-")
    atexit.register(shutil.rmtree, where)
    return where


PACKAGES = lay(folder())


def surroundings(**more):
    """An environment in which python3 finds the package, and leases go to a store of the test's."""
    return environment(**{"PYTHONPATH": PACKAGES, "PYTHONDONTWRITEBYTECODE": "1", **more})


def python(script, *words, env=None, **options):
    """Runs a script to its end, in which every warning is an error."""
    return subprocess.run([sys.executable, "-W", "error", "-c", script, *words],
                          env=surroundings(**(env or {})), timeout=PATIENCE,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                          **options)


def printed(script, *words, env=None, **options):
    """What a script prints that has to end well, without a word on stderr."""
    done = python(script, *words, env=env, **options)
    assert done.returncode == 0 and done.stderr == "", (done.returncode, done.stdout, done.stderr)
    return done.stdout


class Program:
    """A script that says lines and reads lines; it is ended with the test."""

    def __init__(self, script, *words, env=None, **options):
        self.process = subprocess.Popen([sys.executable, "-c", script, *words],
                                        env=surroundings(**(env or {})), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        bufsize=1, **options)

    def line(self):
        if not select.select([self.process.stdout], [], [], PATIENCE)[0]:
            raise AssertionError("not a word")
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"it ended: {self.process.communicate()[1]}")
        return line.strip()

    def say(self, text=""):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def end(self):
        """Its exit status and the rest of what it printed, once its input has ended."""
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out, err

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
