#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every fuzz target long: ten million executions or an hour, whichever comes first, two side by
side. Says for each how many there were, how long it took, and how much of the target's own files they
reached. It stops at the first finding, keeps the input and says how to run it again.

hard.py BUILD [TARGET…], BUILD with -Dfuzzers=true. FUZZ_RUNS and FUZZ_SECONDS make it shorter;
FUZZ_NEW is a folder in which to keep the inputs that reached something new.

hard.py --check only looks whether every target is known here."""
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
RUNS = int(os.environ.get("FUZZ_RUNS", 10_000_000))
SECONDS = int(os.environ.get("FUZZ_SECONDS", 3600))
JOBS = 2

# A target, and the files that are its own: paths that contain one of these.
TARGETS = {
    "allow_list": ["compat/common.c"],
    "amounts": ["src/util/duration.c", "src/util/size.c"],
    "choice_words": ["src/machine/device_id.c", "src/machine/visible.c", "src/choose/select.c"],
    "claim": ["engines/kubernetes/dra/allocation.c", "engines/kubernetes/dra/claim_file.c"],
    "configuration": ["src/site/"],
    "device_numbers": ["engines/cdi/caps.c", "engines/fence/numbers.c"],
    "grpc_server": ["engines/kubernetes/grpc/"],
    "hosts": ["cli/hosts/request.c", "cli/hosts/hosts.c", "cli/hosts/ask.c", "cli/hosts/document.c"],
    "http": ["engines/kubernetes/deviceplugin/http.c"],
    "kubeconfig": ["engines/kubernetes/apiserver/address.c",
                   "engines/kubernetes/apiserver/base64.c"],
    "kubelet_messages": ["engines/kubernetes/deviceplugin/messages.c",
                         "engines/kubernetes/deviceplugin/choice.c",
                         "engines/kubernetes/deviceplugin/claims.c",
                         "engines/kubernetes/deviceplugin/xid.c"],
    "lease_record": ["src/lease/record.c", "src/lease/leaf.c"],
    "loader_cache": ["engines/cdi/loader_cache.c"],
    "mcp": ["cli/mcp/"],
    "machine_file": ["src/machine/machine_file", "src/machine/json_reader.c"],
    "nvidia_smi": ["src/source/smi/xml.c", "src/source/smi/list.c", "src/source/smi/field.c"],
    "nvml": ["src/source/nvml/device.c", "src/source/nvml/links.c", "src/source/nvml/mig.c",
             "src/source/nvml/processes.c"],
    "nvml_child": ["src/source/nvml/worker.c"],
    "samples": ["cli/samples.c"],
    "slices_answer": ["engines/kubernetes/slices/reconcile.c"],
    "slurm_conf": ["engines/slurm/conf/"],
    "slurm_option": ["engines/slurm/plugin/asked.c", "engines/slurm/plugin/settings.c"],
    "smi_table": ["src/source/smi/csv.c", "src/source/smi/field.c"],
    "ticket": ["src/lease/queue.c", "src/lease/leaf.c", "src/lease/keep.c"],
    "topo_matrix": ["src/source/topo/"],
    "variables": ["src/machine/visible.c", "src/lease/nest.c", "src/source/source.c"],
}

running, over = set(), threading.Event()


def coverage(log, files):
    """What was reached of the files, by what -print_coverage wrote. Among the edges are those into
    what sanitizers say, which a program without faults never takes."""
    found = [(int(one[1]), int(one[2])) for one in re.finditer(
        r"^(?:UN)?COVERED_FUNC: .*edges: (\d+)/(\d+) \S+ (\S+)", log, re.M)
             if any(name in one[3] for name in files)]
    assert found, f"nothing is known of {files}"
    reached, edges = (sum(column) for column in zip(*found))
    return (f"{sum(some > 0 for some, _ in found)} of {len(found)} functions, {reached} of {edges} "
            f"edges ({100 * reached // edges} %)")


def command(build, name, where):
    """The words of one run. Inputs that are new go to the first folder."""
    new = os.path.join(os.environ.get("FUZZ_NEW", where), name)
    os.makedirs(new, exist_ok=True)
    return [os.path.join(build, "tests/fuzz", "fuzz_" + name), f"-runs={RUNS}",
            f"-max_total_time={SECONDS}", "-max_len=4096", "-timeout=60", "-rss_limit_mb=3000",
            "-print_final_stats=1", "-print_coverage=1",
            f"-artifact_prefix={build}/tests/fuzz/{name}-", new,
            os.path.join(HERE, "corpus", name)]


def fuzz(build, name, where):
    """One target, to its end or to the first finding. None, or what is to be said of the finding."""
    if over.is_set():
        return None
    begun, words = time.monotonic(), command(build, name, where)
    path = os.path.join(where, name + ".log")
    with open(path, "wb") as log, subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            env={**os.environ, "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}) as process:
        running.add(process)
        code = process.wait()
        running.discard(process)
    if over.is_set():
        return None
    with open(path, encoding="utf-8", errors="replace") as log:
        said = log.read()
    if code != 0:
        over.set()
        return finding(build, name, said, code)
    count = int(re.search(r"stat::number_of_executed_units: (\d+)", said).group(1))
    spent = time.monotonic() - begun
    print(f"{name:14} {count:9} executions, {spent:5.0f} s, {count / max(spent, 1):7.0f} a second, "
          f"of its own files {coverage(said, TARGETS[name])}", flush=True)
    return None


def finding(build, name, said, code):
    shown = [line for line in said.splitlines() if not re.match(r"(UN)?COVERED|#\d", line)]
    kept = re.search(r"Test unit written to (\S+)", said)
    again = f"{build}/tests/fuzz/fuzz_{name} {kept.group(1)}" if kept else "it left no input"
    return "\n".join([*shown[-60:], f"{name}: a finding (exit status {code}); again:", again])


def main():
    there = {entry[:-len("_fuzz.c")] for entry in os.listdir(HERE) if entry.endswith("_fuzz.c")}
    assert there == set(TARGETS), f"{there ^ set(TARGETS)} is in one list only"
    if sys.argv[1:] == ["--check"]:
        return 0
    build = os.path.abspath(sys.argv[1])
    names = sys.argv[2:] or sorted(TARGETS)
    where = tempfile.mkdtemp(prefix="gpualloc-fuzz-")
    try:
        with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
            runs = [pool.submit(fuzz, build, name, where) for name in names]
            for run in concurrent.futures.as_completed(runs):
                if run.result():
                    for process in list(running):
                        process.terminate()
                    print(run.result(), flush=True)
                    return 1
    finally:
        over.set()
        for process in list(running):
            process.terminate()
        shutil.rmtree(where, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
