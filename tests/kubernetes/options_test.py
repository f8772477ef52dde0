#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Options, variables and the file: what counts, and that every mistake is named at once."""
import json
import os
import subprocess
import tempfile

import cli
from cli import case, main

AGENT = os.environ["GPUALLOC_K8S"]


def run(*words, env=None):
    return subprocess.run([AGENT, *words], env=cli.environment(**(env or {})), timeout=60,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)


def checked(*words, env=None):
    """The settings that count."""
    done = run("--check", *words, env=env)
    assert done.returncode == 0 and done.stderr == "", done
    return dict(line.split(" = ", 1) for line in done.stdout.splitlines())


def refused(code, *words, env=None):
    done = run(*words, env=env)
    assert done.returncode == code and done.stdout == "", done
    return done.stderr


def file_with(text):
    file = tempfile.NamedTemporaryFile("w", prefix="gpualloc-k8s-")
    file.write(text)
    file.flush()
    return file


@case
def help_names_every_setting_and_version_the_version():
    done = run("--help")
    assert done.returncode == 0, done
    for name in checked("--metrics", "9400"):
        assert f"--{name} " in done.stdout, name
    assert all(len(line) <= 120 for line in done.stdout.splitlines())
    assert run("--version").stdout.startswith("gpualloc-k8s 0."), run("--version")


@case
def an_option_counts_before_a_variable_and_that_before_the_file():
    with file_with("# a comment\n\npoll = 1s # more\ninterval=2s\n  replicas = 3\n") as file:
        env = {"GPUALLOC_K8S_POLL": "3s", "GPUALLOC_K8S_INTERVAL": "3s",
               "GPUALLOC_K8S_CONFIG": file.name}
        values = checked("--interval", "4s", env=env)
        assert (values["poll"], values["interval"], values["replicas"]) == ("3s", "4s", "3"), values
        assert values["policy"] == "balanced"


@case
def what_check_prints_is_a_file_that_means_the_same():
    values = run("--check", "--mig", "mixed", "--ignore-xids", "none", "--log", "json").stdout
    with file_with(values) as file:
        assert run("--check", "--config", file.name).stdout == values


@case
def every_mistake_is_named_at_once_and_nothing_is_started():
    with file_with("replicas = 0\nnonsense\ncolour = red\npoll = 5\npoll = 6s\n") as file:
        said = refused(78, "--config", file.name, "--mig", "some", "--frob", "--resource", "gpu",
                       "--policy", "best", "--hand-over", "cdi,post", "--kubelet-dir", "here",
                       "--machine", "/nonexistent.json", "--interval", "1ms", "extra", "--store",
                       env={"GPUALLOC_K8S_SHARING": "fair"})
        for part in (f"{file.name}: replicas", "line 2: nonsense", "line 3: colour", "line 5: poll",
                     f"{file.name}: poll", "--mig", "none, single or mixed", "--frob", "--resource",
                     "balanced", "post", "--kubelet-dir", "/nonexistent.json", "--interval",
                     "extra", "--store needs a value", "GPUALLOC_K8S_SHARING", "nothing was started"):
            assert part in said, f"no {part!r} in {said}"


@case
def values_are_checked_for_what_kubernetes_accepts():
    for words in (["--resource", "a.kubernetes.io/gpu"], ["--resource", "Nvidia.com/gpu"],
                  ["--resource", "nvidia.com/"], ["--resource", "/gpu"], ["--resource", "a/b/c"],
                  ["--resource", "nvidia.com/" + "g" * 64], ["--kubelet-dir", "/" + "d" * 100],
                  ["--replicas", "1001"], ["--replicas", "-1"], ["--ignore-xids", "13,,31"],
                  ["--cdi-kind", "gpu"], ["--lease", "maybe"], ["--hand-over", ""],
                  ["--metrics", "localhost:9400"], ["--metrics", "127.0.0.1"], ["--metrics", ":0"],
                  ["--metrics", "[::1:9400"], ["--metrics", "1.2.3.4:65536"], ["--metrics", "1" * 80]):
        assert "nothing was started" in refused(64, *words), words
    for value in ("9400", ":9400", "0.0.0.0:9400", "[::]:9400"):
        assert checked("--metrics", value)["metrics"] == value
    for words in (["--facts", "some"], ["--facts", "labels", "--resource", "a.b/" + "c" * 50],
                  ["--facts", "labels", "--node", "a b"]):
        assert "nothing was started" in refused(64, *words), words
    assert checked("--facts", "annotation", "--node", "n1")["node"] == "n1"
    assert "no such file" in refused(78, "--config", "/nonexistent").lower()


@case
def the_log_can_be_json():
    with tempfile.TemporaryDirectory(prefix="gpualloc-k8s-") as where:
        done = run("--log", "json", "--store", where + "/none", "--machine", "dgx1-volta")
        assert done.returncode == 77, done
        lines = [json.loads(line) for line in done.stderr.splitlines()]
        assert lines and lines[-1]["level"] == "error" and lines[-1]["time"].endswith("Z"), lines


if __name__ == "__main__":
    main()
