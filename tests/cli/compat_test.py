#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""getgpu, cudawrap and create_cudawrap: what they always did, without the race."""
import os
import select
import shutil
import stat
import subprocess
import time

from cli import case, environment, folder, machine_file, main
from leasing import PATIENCE, store
from people import shared_store, two_people

TOOLS = os.environ["COMPAT"]


def tool(one, name, *words, env=None, **options):
    return subprocess.run([os.path.join(TOOLS, name), *words], capture_output=True, text=True,
                          env=one.environment(**{"GPUALLOC_MACHINE": one.machine,
                                                 "GPUALLOC_HOLD": "1h", **(env or {})}),
                          check=False, **options)


def holders(one):
    return [lease["pid"] for lease in one.leases()["leases"]]


def let_go(one):
    for pid in holders(one):
        os.kill(pid, 15)


@case
def numbers_name_instances_in_the_order_of_the_driver():
    with store("a100-mig") as one:
        uuids = [tool(one, "getgpu", str(number)).stdout.strip() for number in range(5)]
        assert all(uuid.startswith("MIG-") for uuid in uuids) and len(set(uuids)) == 5, uuids
        done = tool(one, "getgpu", "5")
        assert done.returncode == 78 and done.stdout == "", done
        for word in ("x", "-1", ""):
            assert tool(one, "getgpu", word).returncode == 64
        assert tool(one, "getgpu", "1", "2").returncode == 64
        assert holders(one) == []
        one.machine = "dgx1-volta"
        assert tool(one, "getgpu", "7").stdout.startswith("GPU-")


@case
def instances_are_given_once_until_they_are_gone():
    with store("a100-mig") as one:
        given = [tool(one, "getgpu").stdout.strip() for _ in range(5)]
        assert len(set(given)) == 5 and all(uuid.startswith("MIG-") for uuid in given), given
        done = tool(one, "getgpu")
        assert done.returncode == 75 and done.stdout == "", done
        for pid in holders(one):
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                assert file.read().startswith(b"getgpu-hold\0")
        let_go(one)


@case
def a_hundred_at_once_never_share_an_instance():
    with store("a100-mig") as one:
        env = one.environment(GPUALLOC_MACHINE=one.machine, GPUALLOC_HOLD="1h")
        children = [subprocess.Popen([os.path.join(TOOLS, "getgpu")], stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE, text=True, env=env)
                    for _ in range(100)]
        given = [child.communicate()[0].strip() for child in children]
        codes = [child.returncode for child in children]
        printed = [uuid for uuid in given if uuid]
        assert len(set(printed)) == len(printed) == 5, (printed, codes)
        assert set(codes) == {0, 75}, codes
        let_go(one)


def watches_somebody(pid):
    """Whether a keeper has found its program and sleeps until that ends."""
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            if "pidfd" in os.readlink(f"/proc/{pid}/fd/{fd}"):
                return True
        except FileNotFoundError:
            pass  # closed meanwhile
    return False


@case
def a_hundred_programs_take_turns_on_fourteen_instances():
    with store(machine_file("chaos.json")) as one:
        gate, opens = os.pipe()  # all read from the one end, until the other is closed
        env = one.environment(GPUALLOC_MACHINE=one.machine, GPUALLOC_HOLD="30s")
        line = ('uuid=$("$0") || exit; export CUDA_VISIBLE_DEVICES=$uuid; '
                'exec sh -c \'echo "$CUDA_VISIBLE_DEVICES"; read line; exit 0\'')
        children = [subprocess.Popen(["sh", "-c", line, os.path.join(TOOLS, "getgpu")],
                                     stdin=gate, stdout=subprocess.PIPE,
                                     stderr=subprocess.DEVNULL, text=True, env=env)
                    for _ in range(100)]
        os.close(gate)
        given = [child.stdout.readline().strip() for child in children]  # "" from who has ended
        printed = [uuid for uuid in given if uuid]
        assert len(set(printed)) == len(printed) == 14, printed
        keepers = holders(one)
        assert len(keepers) == 14
        deadline = time.monotonic() + PATIENCE
        while not all(watches_somebody(keeper) for keeper in keepers):
            assert time.monotonic() < deadline
            os.sched_yield()
        endings = [os.pidfd_open(keeper) for keeper in keepers]
        os.close(opens)
        codes = [child.wait(PATIENCE) for child in children]
        assert sorted(set(codes)) == [0, 75] and codes.count(0) == 14, codes
        for child in children:
            child.stdout.close()
        for ending in endings:
            assert select.select([ending], [], [], PATIENCE)[0], "a keeper stayed"
            os.close(ending)
        assert holders(one) == [] and one.run("--mig", "-n", "14", "true").code == 0


@case
def a_hold_bridges_to_the_program_and_ends_with_it():
    with store("a100-mig") as one:
        uuid = tool(one, "getgpu").stdout.strip()
        keeper, = holders(one)
        ending = os.pidfd_open(keeper)
        child = subprocess.Popen(["cat"], stdin=subprocess.PIPE,
                                 env=environment(CUDA_VISIBLE_DEVICES=uuid))
        deadline = time.monotonic() + PATIENCE
        while not watches_somebody(keeper):
            assert time.monotonic() < deadline
            os.sched_yield()
        assert holders(one) == [keeper]
        child.communicate()
        assert select.select([ending], [], [], PATIENCE)[0], "the keeper stayed"
        os.close(ending)
        assert holders(one) == []


@case
def a_hold_that_nobody_picks_up_ends_in_time():
    with store("a100-mig") as one:
        assert tool(one, "getgpu", env={"GPUALLOC_HOLD": "300ms"}).returncode == 0
        for keeper in holders(one):
            ending = os.pidfd_open(keeper)
            assert select.select([ending], [], [], PATIENCE)[0], "the keeper stayed"
            os.close(ending)
        assert holders(one) == []


@case
def only_devices_on_the_list_are_given():
    with store("a100-mig") as one:
        all_of_them = [tool(one, "getgpu", str(number)).stdout.strip() for number in range(5)]
        path = os.path.join(one.where, "ids")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"# ours\n\n  {all_of_them[3]}  # the third\r\nMIG-gone\n")
        env = {"GPUALLOC_IDS": path}
        assert tool(one, "getgpu", env=env).stdout.strip() == all_of_them[3]
        assert tool(one, "getgpu", env=env).returncode == 75
        assert tool(one, "getgpu", "3", env=env).stdout.strip() == all_of_them[3]
        assert tool(one, "getgpu", "0", env=env).returncode == 77
        with open(path, "w", encoding="utf-8"):
            pass
        assert tool(one, "getgpu", env=env).returncode == 77
        assert tool(one, "getgpu", env={"GPUALLOC_IDS": path + "x"}).returncode == 77
        let_go(one)


def program(where, name="my tool"):
    path = os.path.join(where, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write('#!/bin/sh\necho "$CUDA_VISIBLE_DEVICES" "$@"\nexit 7\n')
    os.chmod(path, 0o750)
    os.utime(path, (1000, 2000))
    return path


@case
def a_wrapped_program_runs_on_its_own_instance():
    with store("a100-mig") as one:
        path = program(one.where)
        before = os.stat(path)
        assert tool(one, "create_cudawrap", path).returncode == 0
        after = os.stat(os.path.join(one.where, "CUDAWRAP_my tool"))
        assert os.path.islink(path)
        assert all(getattr(before, name) == getattr(after, name) for name in
                   ("st_ino", "st_mode", "st_uid", "st_gid", "st_mtime", "st_atime"))
        env = one.environment(GPUALLOC_MACHINE=one.machine)
        done = subprocess.run([path, "a b", "-n"], capture_output=True, text=True, env=env,
                              check=False)
        assert done.returncode == 7 and done.stdout.startswith("MIG-"), done
        assert done.stdout.endswith(" a b -n\n"), done
        env["PATH"] = one.where + ":" + env["PATH"]
        assert subprocess.run(["my tool"], capture_output=True, env=env, check=False).returncode == 7
        assert tool(one, "create_cudawrap", "--list", path, "/bin/true").stdout == path + "\n"
        done = tool(one, "create_cudawrap", path)
        assert done.returncode != 0 and "already wrapped" in done.stderr
        assert tool(one, "create_cudawrap", "--undo", path).returncode == 0
        assert not os.path.islink(path) and os.stat(path).st_ino == before.st_ino
        assert sorted(os.listdir(one.where)) == ["my tool", "store"]


@case
def links_of_the_old_scripts_work_and_missing_files_are_reported():
    with store("a100-mig") as one:
        path = program(one.where, "CUDAWRAP_old")
        os.symlink(os.path.join(TOOLS, "cudawrap"), os.path.join(one.where, "cudawrap"))
        os.symlink("cudawrap", os.path.join(one.where, "old"))
        env = one.environment(GPUALLOC_MACHINE=one.machine)
        old = [os.path.join(one.where, "old")]
        assert subprocess.run(old, env=env, capture_output=True, check=False).returncode == 7
        os.unlink(path)
        assert subprocess.run(old, env=env, capture_output=True, check=False).returncode == 127
        assert tool(one, "cudawrap").returncode == 64


@case
def a_file_that_cannot_be_wrapped_stays_as_it_is():
    with store() as one, folder() as where:
        link = os.path.join(where, "link")
        os.symlink("/bin/true", link)
        text = os.path.join(where, "text")
        with open(text, "w", encoding="utf-8"):
            pass
        for path, why in ((link, "it is a link"), (text, "not an executable file"),
                          (where, "not an executable file"), (where + "/none", "No such file")):
            done = tool(one, "create_cudawrap", path)
            assert done.returncode != 0 and why in done.stderr, done
            assert tool(one, "create_cudawrap", "--undo", path).returncode != 0
        assert sorted(os.listdir(where)) == ["link", "text"]
        assert tool(one, "create_cudawrap").returncode == 64
        if os.geteuid() == 0:
            return
        path = program(where)
        os.chmod(where, stat.S_IRUSR | stat.S_IXUSR)
        assert tool(one, "create_cudawrap", path).returncode == 77
        os.chmod(where, stat.S_IRWXU)
        shutil.rmtree(where, ignore_errors=True)
        os.mkdir(where)


@case
def wrapping_needs_the_right_to_change_the_folder():
    with two_people() as (ada, bob), shared_store("a100-mig") as one:
        where = os.path.join(one.where, "some  folder")
        os.mkdir(where)
        path = program(where)
        os.chmod(path, 0o755)
        os.chown(path, ada.uid, ada.gid)
        before = os.stat(path)
        # Hers, but the folder is not: nothing is changed, and why is said.
        for person in (ada, bob):
            for words in ([path], ["--undo", path]):
                done = tool(one, "create_cudawrap", *words, **person.as_them())
                assert done.returncode != 0 and path in done.stderr, done
            done = tool(one, "create_cudawrap", path, **person.as_them())
            assert done.returncode == 77, done
        assert os.listdir(where) == ["my tool"]
        # An administrator wraps it; it stays hers, and everybody runs it.
        assert tool(one, "create_cudawrap", path).returncode == 0
        after = os.stat(path.replace("my tool", "CUDAWRAP_my tool"))
        assert (before.st_uid, before.st_gid, before.st_mode, before.st_mtime_ns) == \
               (after.st_uid, after.st_gid, after.st_mode, after.st_mtime_ns)
        env = one.environment(GPUALLOC_MACHINE=one.machine)
        for person in (ada, bob):
            done = subprocess.run([path, "a b"], capture_output=True, text=True, env=env,
                                  check=False, **person.as_them())
            assert done.returncode == 7 and done.stdout.startswith("MIG-"), done
            done = tool(one, "create_cudawrap", "--undo", path, **person.as_them())
            assert done.returncode == 77, done
        assert tool(one, "create_cudawrap", "--undo", path).returncode == 0
        assert os.listdir(where) == ["my tool"] and os.stat(path).st_uid == ada.uid


@case
def each_tool_explains_itself():
    with store("a100-mig") as one:
        for name in ("getgpu", "cudawrap", "create_cudawrap"):
            for word in ("--help", "-h"):
                done = tool(one, name, word)
                assert done.returncode == 0 and done.stderr == "", done
                assert done.stdout.startswith("usage: ") and name in done.stdout, done
                assert max(map(len, done.stdout.splitlines())) <= 80, done.stdout
            page = os.path.join(os.environ["TEST_ROOT"], "..", "docs", name + ".1.scd")
            with open(page, encoding="utf-8") as file:
                text = file.read()
            assert text.startswith(f"{name}(1)\n") and "*--help*" in text, name
        assert holders(one) == []


main()
