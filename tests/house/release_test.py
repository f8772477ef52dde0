#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/release in a small tree of its own: it lets a good one pass, and says of each fault what it is.

Arguments: tools/release, the project's header."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

RELEASE, HEADER = sys.argv[1:]
GIT = ["git", "-c", "user.name=nobody", "-c", "user.email=nobody@localhost", "-c", "commit.gpgsign=false"]
# Settings of the person who runs the tests stay out of it.
ENVIRONMENT = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
RECORDER = '#!/bin/sh\necho "$(cat "$1")" >"$2"\n'


class Tree:
    """A project that could be released, and a build of it that is all green."""

    def __init__(self, folder):
        self.root, self.build = os.path.join(folder, "tree"), os.path.join(folder, "build")
        with open(HEADER, encoding="utf-8") as file:
            header = file.read()
        version = header.split('#define GPUALLOC_VERSION "')[1].split('"')[0]
        self.version = version
        self.write("include/gpualloc/gpualloc.h", header)
        self.write("meson.build", f"project('gpualloc', 'c',\n  version: '{version}')\n")
        self.write("NEWS.md", f"# News\n\n## {version}, 2031-02-03\n\n* All of it.\n")
        self.write("src/api/gpualloc.abi", "the abi\n")
        self.write("tools/record-abi", RECORDER)
        os.chmod(os.path.join(self.root, "tools/record-abi"), 0o755)
        shutil.copy(RELEASE, os.path.join(self.root, "tools/release"))
        self.git("init", "-q")
        self.commit()
        self.library = os.path.join(self.build, "src/api/libgpualloc.so")
        self.put(self.library, "the abi\n")
        self.put(os.path.join(self.build, "meson-info/intro-tests.json"),
                 json.dumps([{"name": "one"}, {"name": "two"}]))
        self.ran(one="OK", two="SKIP")

    @staticmethod
    def put(path, text):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def write(self, name, text):
        self.put(os.path.join(self.root, name), text)

    def git(self, *words):
        subprocess.run([*GIT, *words], cwd=self.root, env=ENVIRONMENT, check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def commit(self):
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "all")
        if hasattr(self, "log"):
            os.utime(self.log)  # the tests ran after it, however slow this machine is

    def ran(self, **results):
        self.log = os.path.join(self.build, "meson-logs/testlog.json")
        self.put(self.log, "".join(json.dumps({"name": f"gpualloc:unit / {name}", "result": result})
                                   + "\n" for name, result in results.items()))

    def refuses(self, *sentences):
        done = self.run()
        assert done.returncode == 1 and done.stdout == "", done
        said = done.stderr.splitlines()
        assert len(said) == len(sentences), done.stderr
        for line, sentence in zip(said, sentences):
            assert sentence in line, done.stderr

    def run(self):
        return subprocess.run([os.path.join(self.root, "tools/release"), self.build], text=True,
                              cwd="/", env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True,
                              check=False)


def a_good_tree_passes_and_nothing_is_tagged(tree):
    done = tree.run()
    assert done.returncode == 0 and done.stderr == "", done
    assert f"git tag -s v{tree.version}" in done.stdout, done
    tags = subprocess.run(["git", "tag"], cwd=tree.root, capture_output=True, text=True, check=True)
    assert tags.stdout == "", tags


def versions_that_differ(tree):
    tree.write("meson.build", "project('gpualloc', 'c',\n  version: '99.1.2')\n")
    tree.commit()
    tree.refuses(f"says {tree.version}, meson.build 99.1.2", 'has to be "99.1.2, YEAR')


def a_version_that_is_out(tree):
    tree.git("tag", f"v{tree.version}")
    tree.refuses("is a tag already")


def news_without_a_date(tree):
    tree.write("NEWS.md", f"# News\n\n## {tree.version}, not yet released\n")
    tree.commit()
    tree.refuses('"' + tree.version + ', not yet released"')


def a_tree_with_changes(tree):
    tree.write("new.c", "")
    tree.refuses("1 files differ")


def a_library_that_is_not_the_recorded_one(tree):
    tree.put(tree.library, "another abi\n")
    tree.refuses("gpualloc.abi is not what the library has")


def tests_that_failed_or_did_not_run(tree):
    tree.ran(one="FAIL", two="OK")
    tree.refuses("tests failed: gpualloc:unit / one")
    tree.ran(one="OK")
    tree.refuses("1 of 2 tests did not run")
    os.unlink(tree.log)
    tree.refuses("nothing was tested")


def tests_that_are_older_than_the_commit(tree):
    os.utime(tree.log, (1, 1))
    tree.refuses("the tests ran before the last commit")


CASES = [a_good_tree_passes_and_nothing_is_tagged, versions_that_differ, a_version_that_is_out,
         news_without_a_date, a_tree_with_changes, a_library_that_is_not_the_recorded_one,
         tests_that_failed_or_did_not_run, tests_that_are_older_than_the_commit]
why_not = "" if shutil.which("git") else "no git"
print(f"1..{len(CASES)}")
bad = 0
for number, case in enumerate(CASES, 1):
    name = case.__name__.replace("_", " ")
    if why_not:
        print(f"ok {number} - {name} # SKIP {why_not}")
        continue
    with tempfile.TemporaryDirectory() as where:
        try:
            case(Tree(where))
            print(f"ok {number} - {name}")
        except AssertionError as error:
            bad += 1
            print("".join(f"# {line}\n" for line in str(error).splitlines())
                  + f"not ok {number} - {name}")
sys.exit(bad > 0)
