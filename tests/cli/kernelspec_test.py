#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gpualloc kernelspec: what it writes and where, and a real Jupyter kernel that is started by it:
its devices, its interrupts, its restart and its death."""
import json
import os
import shutil
import subprocess

from cli import GPUALLOC, Skip, case, environment, folder, main, ok, refused, run

MACHINE = "dgx1-volta"
COMMAND = ["--", "/bin/sh", "-c", "true {connection_file}"]


def written(*words, env=None, **options):
    return json.loads(ok("kernelspec", "-o", "-", *words, env=env, **options))


@case
def the_kernel_is_started_by_run_with_the_same_options():
    spec = written("--machine", MACHINE, "-n", "2", "-m", "8GiB", "--wait=1m", "--bind", "-q",
                   "--name", "two", "--note", "of \"two\" words", *COMMAND)
    argv = spec["argv"]
    assert argv[:2] == [os.path.realpath(GPUALLOC), "run"], argv
    assert sorted(argv[2:argv.index("--")]) == [
        "--bind", "--count=2", f"--machine={MACHINE}", "--memory=8GiB",
        "--note=of \"two\" words", "--wait=1m"], argv
    assert argv[argv.index("--"):] == COMMAND, argv
    assert written("--wait", *COMMAND)["argv"][2:4] == ["--wait", "--"]


@case
def without_a_command_it_is_the_python_on_path():
    with folder() as where:
        python = os.path.join(where, "python3")
        os.symlink(shutil.which("python3"), python)
        spec = written(env={"PATH": where})
        assert spec["argv"][2:] == ["--", python, "-m", "ipykernel_launcher", "-f",
                                    "{connection_file}"], spec
        assert spec["language"] == "python" and spec["display_name"] == "Python 3 on 1 GPU", spec
        refused(127, "kernelspec", "-o", "-", env={"PATH": "/nonexistent"}, says=["python3"])
        relative = written(env={"PATH": "."}, cwd=where)["argv"][3]
        assert os.path.realpath(relative) == os.path.realpath(python) and relative[0] == "/", relative


@case
def titles_say_what_a_notebook_gets():
    for words, title in ((["-n", "4"], "sh on 4 GPUs"), (["--mig"], "sh on 1 MIG instance"),
                         (["--mig=1g.5gb", "-n", "2"], "sh on 2 MIG instances 1g.5gb"),
                         (["-m", "8GiB", "--share"], "sh on 8GiB of 1 GPU"),
                         (["--model", "A100"], "sh on 1 GPU A100")):
        assert written(*words, *COMMAND)["display_name"] == title, words
    assert written(*COMMAND)["language"] == "sh"


@case
def files_of_machines_get_names_that_work_anywhere():
    with folder() as where:
        ok("snapshot", "--machine", MACHINE, "-o", os.path.join(where, "machine.json"))
        argv = written("--machine", "machine.json", *COMMAND, cwd=where)["argv"]
        assert f"--machine={os.path.realpath(where)}/machine.json" in argv, argv


@case
def it_goes_where_jupyter_looks():
    with folder() as where:
        for env, place in (({"JUPYTER_DATA_DIR": f"{where}/a", "XDG_DATA_HOME": "/nonexistent"}, "a"),
                           ({"XDG_DATA_HOME": f"{where}/b", "JUPYTER_DATA_DIR": None}, "b/jupyter"),
                           ({"HOME": f"{where}/c", "JUPYTER_DATA_DIR": "", "XDG_DATA_HOME": None},
                            "c/.local/share/jupyter")):
            path = f"{where}/{place}/kernels/gpualloc/kernel.json"
            assert ok("kernelspec", *COMMAND, env=env) == path + "\n", env
            assert ok("kernelspec", "-n", "2", *COMMAND, env=env) == path + "\n", env
            with open(path, encoding="utf-8") as file:
                assert "--count=2" in json.load(file)["argv"], env
            named = ok("kernelspec", "--name", "Two.GPUs-x_1", *COMMAND, env=env)
            assert named == f"{where}/{place}/kernels/Two.GPUs-x_1/kernel.json\n", named
        refused(74, "kernelspec", *COMMAND,
                env={"HOME": None, "JUPYTER_DATA_DIR": None, "XDG_DATA_HOME": None},
                says=["HOME is not set"])


@case
def a_kernel_of_somebody_elses_is_not_replaced():
    with folder() as where:
        env = {"JUPYTER_DATA_DIR": where}
        path = f"{where}/kernels/python3/kernel.json"
        os.makedirs(os.path.dirname(path))
        for text in ('{"argv": ["python3"], "language": "python"}', "", "no json"):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            refused(64, "kernelspec", "--name", "python3", *COMMAND, env=env,
                    says=["did not write", "--name"])
            with open(path, encoding="utf-8") as file:
                assert file.read() == text


@case
def what_run_would_refuse_is_refused_now():
    for words, says in ((["-n", "0"], "--count"), (["-p", "bets-fit"], "best-fit"),
                        (["--wait=soon"], "--wait"), (["-m", "8Gigs"], "8Gigs"),
                        (["--format", "number"], "no format"), (["--time-limit", "1"], "--time-limit"),
                        (["--name", "a b"], "a b"), (["--name", ".."], ".."), (["--name", ""], "--name")):
        refused(64, "kernelspec", "-o", "-", *words, *COMMAND, says=[says])
    refused(64, "kernelspec", "-o", "-", "--", "python3", "-m", "ipykernel_launcher",
            says=["{connection_file}"])
    refused(127, "kernelspec", "-o", "-", "--", "no-such-program", "{connection_file}")
    with folder() as where:
        path = os.path.join(where, "file")
        with open(path, "w", encoding="utf-8"):
            pass
        refused(74, "kernelspec", *COMMAND, env={"JUPYTER_DATA_DIR": path},
                says=["cannot make the folder"])


@case
def a_python_without_ipykernel_is_said():
    with folder() as where:
        for status, notes in (("exit 0", False), ("exit 1", True)):
            python = os.path.join(where, "python3")
            with open(python, "w", encoding="utf-8") as file:
                file.write(f"#!/bin/sh\n{status}\n")
            os.chmod(python, 0o755)
            result = run("kernelspec", env={"PATH": f"{where}:{os.environ['PATH']}",
                                            "JUPYTER_DATA_DIR": where})
            assert result.code == 0 and result.out.endswith("/kernel.json\n"), result
            assert ("has no ipykernel" in result.err) == notes, result


# ---- a real kernel ----

DRIVER = r'''
import os, subprocess, sys, json
from jupyter_client.manager import start_new_kernel
GPUALLOC = sys.argv[1]

def leases():
    return json.loads(subprocess.run([GPUALLOC, "leases", "--json"], capture_output=True,
                                     text=True, check=True).stdout)["leases"]

def printed(client, code, until=None):
    """Runs code; returns its status and what it printed. Until it has printed that much."""
    asked, text = client.execute(code), ""
    while True:
        message = client.get_iopub_msg(timeout=60)
        if message["parent_header"].get("msg_id") != asked:
            continue
        content = message["content"]
        text += content.get("text", "")
        if until and until in text:
            return asked, text
        if content.get("execution_state") == "idle":
            break
    return client.get_shell_msg(timeout=60)["content"]["status"], text

LOOK = "import os; print(os.environ['CUDA_VISIBLE_DEVICES'], os.getpid(), os.environ['GPUALLOC_LEASE'])"
manager, client = start_new_kernel(kernel_name="gputest", startup_timeout=60)
try:
    status, text = printed(client, LOOK)
    visible, pid, lease = text.split()
    held = leases()
    assert status == "ok" and len(visible.split(",")) == 2, text
    assert [(one["id"], one["pid"]) for one in held] == [(lease, int(pid))], (held, text)
    print("leased", flush=True)

    asked, text = printed(client, "import time\nprint('on', flush=True)\n"
                          "while True: time.sleep(0.05)", until="on")
    manager.interrupt_kernel()
    while True:
        reply = client.get_shell_msg(timeout=60)
        if reply["parent_header"].get("msg_id") == asked:
            break
    assert reply["content"]["ename"] == "KeyboardInterrupt", reply["content"]
    assert [one["id"] for one in leases()] == [lease]
    print("interrupted", flush=True)

    manager.restart_kernel(now=True)
    client.wait_for_ready(timeout=60)
    status, text = printed(client, LOOK)
    again = text.split()[2]
    assert again != lease and [one["id"] for one in leases()] == [again], (lease, text, leases())
    print("restarted", flush=True)

    manager.restart_kernel(now=False)
    client.wait_for_ready(timeout=60)
    pid = int(printed(client, LOOK)[1].split()[1])
    ending = os.pidfd_open(pid)
    os.kill(pid, 9)
    os.waitid(os.P_PIDFD, ending, os.WEXITED | os.WNOWAIT)
    assert leases() == [], leases()
    print("killed", flush=True)
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
assert leases() == []
'''


def python_with_jupyter():
    for python in ("/usr/bin/python3", shutil.which("python3")):
        if subprocess.run([python, "-c", "import ipykernel, jupyter_client"], check=False,
                          stderr=subprocess.DEVNULL).returncode == 0:
            return python
    raise Skip("no Python here has ipykernel and jupyter_client")


def drive(*options):
    python = python_with_jupyter()
    with folder() as where:
        env = environment(GPUALLOC_STATE_DIR=f"{where}/store", JUPYTER_DATA_DIR=f"{where}/data",
                          JUPYTER_RUNTIME_DIR=f"{where}/runtime", IPYTHONDIR=f"{where}/ipython",
                          JUPYTER_CONFIG_DIR=f"{where}/config", JUPYTER_PATH=None, HOME=where,
                          PYTHONWARNINGS="ignore", PYTHONPATH=None)
        ok("kernelspec", "--name", "gputest", "--machine", MACHINE, "-n", "2", *options, "--",
           python, "-m", "ipykernel_launcher", "-f", "{connection_file}", env=env)
        done = subprocess.run([python, "-c", DRIVER, GPUALLOC], env=env, timeout=200, check=False,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout, done.stderr[-3000:])
    assert done.stdout == "leased\ninterrupted\nrestarted\nkilled\n", done


@case
def a_real_kernel_has_its_devices_as_long_as_it_lives():
    drive()


main()
