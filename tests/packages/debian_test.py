#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The Debian packages as people meet them: installed, used by two users, upgraded while leases are held,
removed and purged while and after they are held. In a copy of this machine; see elsewhere.py.

Argument: the folder with the packages."""
import glob
import json
import os
import pwd
import re
import shutil
import stat
import subprocess
import sys
import textwrap
import traceback

import elsewhere

STORE, CONFIG, SAMPLES = "/run/gpualloc", "/etc/gpualloc.conf", "/var/lib/gpualloc"
TIMER = "gpualloc-usage.timer"
MACHINE = "dgx1-volta"
PATIENCE = 120
CASES = []


def case(function):
    CASES.append(function)
    return function


class Skip(Exception):
    pass


# ---- people ----

def as_user(name):
    """What makes a child theirs. A built-in machine leases in the store for everybody if we say so."""
    if name == "root":
        return {"env": {**os.environ, "GPUALLOC_STATE_DIR": STORE}, "cwd": "/"}
    entry = pwd.getpwnam(name)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": [], "cwd": "/",
            "env": {"PATH": os.environ["PATH"], "HOME": "/", "LC_ALL": "C.UTF-8",
                    "GPUALLOC_STATE_DIR": STORE}}


def run(*words, who="root", **options):
    return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                          timeout=PATIENCE, **{**as_user(who), **options})


def ok(*words, who="root", **options):
    done = run(*words, who=who, **options)
    assert done.returncode == 0, f"{words}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


class Holder:
    """A user's program in a lease; it has said that it runs."""

    def __init__(self, who, *words):
        self.process = subprocess.Popen(
            ["gpualloc", "run", "--machine", MACHINE, *words, "sh", "-c",
             "echo $GPUALLOC_LEASE; read line"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, **as_user(who))
        self.lease = self.process.stdout.readline().strip()
        assert self.lease, f"{who} got no lease"

    def lives(self):
        return self.process.poll() is None

    def end(self):
        self.process.communicate(timeout=PATIENCE)


def leases(who="root"):
    """Lease ids with their users."""
    listed = json.loads(ok("gpualloc", "leases", "--json", who=who))["leases"]
    return {lease["id"]: lease["user"] for lease in listed}


def refused(who, *words):
    done = run("gpualloc", "run", "--machine", MACHINE, *words, "true", who=who)
    assert done.returncode == 75 and done.stdout == "", done
    return done.stderr


def inode():
    return os.stat(f"{STORE}/ledger").st_ino


# ---- packages ----

def packages(folder="/tmp/given"):
    return sorted(path for path in glob.glob(f"{folder}/*.deb") if "-dbgsym_" not in path)


def names():
    return [os.path.basename(path).split("_")[0] for path in packages()]


def install(folder="/tmp/given"):
    return ok("dpkg", "--install", *packages(folder))


def remove(how="--remove"):
    done = run("dpkg", how, *names())
    assert done.returncode == 0, done
    return done.stderr


def is_there(program):
    return shutil.which(program) is not None


def next_version(where):
    """The same packages under a higher version, as their own files."""
    os.makedirs(where)
    for path in packages():
        tree = f"{where}/tree"
        ok("dpkg-deb", "--raw-extract", path, tree)
        control = f"{tree}/DEBIAN/control"
        with open(control, encoding="utf-8") as file:
            text = file.read()
        version = re.search(r"^Version: (.*)$", text, re.MULTILINE).group(1)
        with open(control, "w", encoding="utf-8") as file:
            file.write(text.replace(version, version + ".1"))
        ok("dpkg-deb", "--build", tree, f"{where}/{os.path.basename(path)}")
        shutil.rmtree(tree)
    return where


def files_of(name):
    listed = ok("dpkg", "--listfiles", name).splitlines()
    return [path for path in listed if not os.path.isdir(path)]


# ---- what is tried ----

@case
def they_install_and_the_store_is_made():
    assert not os.path.exists(STORE)
    if os.path.exists("/var/lib/man-db/auto-update"):
        os.unlink("/var/lib/man-db/auto-update")  # or each step reads every manual of this machine
    install()
    assert ok("gpualloc", "setup", "--check").endswith("is in order\n")
    status = os.stat(STORE)
    assert status.st_uid == 0 and stat.S_IMODE(status.st_mode) == 0o755, status
    # At the next boot it comes by itself, on a file system of its own.
    assert os.path.islink("/etc/systemd/system/multi-user.target.wants/gpualloc-store.service")
    assert os.path.exists("/usr/lib/tmpfiles.d/gpualloc.conf")


@case
def manual_completion_and_configuration_are_where_people_look():
    for path in ("/usr/share/man/man1/gpualloc.1.gz", "/usr/share/man/man5/gpualloc.conf.5.gz",
                 "/usr/share/man/man3/gpualloc_lease.3.gz", "/usr/share/man/man8/gpualloc-k8s.8.gz",
                 "/usr/share/doc/gpualloc-kubernetes/KUBERNETES.md.gz",
                 "/usr/share/bash-completion/completions/gpualloc",
                 "/usr/share/zsh/vendor-completions/_gpualloc",
                 "/usr/share/fish/vendor_completions.d/gpualloc.fish", CONFIG):
        assert os.path.exists(path), path
    conffiles = ok("dpkg-query", "--show", "--showformat", "${Conffiles}", "gpualloc")
    assert [line.split()[0] for line in conffiles.splitlines() if line.strip()] == [CONFIG], conffiles


@case
def two_users_lease_and_see_each_other():
    for name in ("ada", "bob"):
        ok("useradd", "--system", "--no-create-home", name)
    ada, bob = Holder("ada", "-n", "5"), Holder("bob", "-n", "2")
    try:
        for who in ("ada", "bob"):
            assert leases(who) == {ada.lease: "ada", bob.lease: "bob"}, leases(who)
        assert "ada" in refused("bob", "-n", "2")
        ada.end()
        ok("gpualloc", "run", "--machine", MACHINE, "-n", "6", "true", who="bob")
    finally:
        ada.end()
        bob.end()
    assert leases() == {}


@case
def an_upgrade_leaves_leases_and_settings_alone():
    with open(CONFIG, "a", encoding="utf-8") as file:
        file.write("max-hold = 2h\n")
    before = inode()
    ada = Holder("ada", "-n", "5")
    hold = ok("gpualloc", "hold", "--machine", MACHINE, "-n", "2", "--for", "1h", who="bob").strip()
    try:
        install(next_version("/tmp/next"))
        assert ok("dpkg-query", "-W", "-f", "${Version}", "gpualloc").endswith(".1")
        assert ada.lives() and inode() == before
        assert leases() == {ada.lease: "ada", hold: "bob"}, leases()
        refused("ada", "-n", "2")
        ok("gpualloc", "run", "--machine", MACHINE, "-n", "1", "true", who="ada")
        # The new one speaks with the old one's keeper.
        ok("gpualloc", "release", "--yes", hold, who="bob")
        ada.end()
        ok("gpualloc", "run", "--machine", MACHINE, "-n", "8", "true", who="bob")
    finally:
        ada.end()
    with open(CONFIG, encoding="utf-8") as file:
        assert "max-hold = 2h" in file.read()


@case
def a_store_given_to_a_group_stays_theirs_in_an_upgrade():
    os.chown(STORE, 0, pwd.getpwnam("ada").pw_gid)
    os.chmod(STORE, 0o750)
    try:
        install("/tmp/next")
        assert stat.S_IMODE(os.stat(STORE).st_mode) == 0o750
    finally:
        os.chmod(STORE, 0o755)
        os.chown(STORE, 0, 0)


@case
def leases_outlive_the_removed_package_and_meet_it_again():
    before = inode()
    ada = Holder("ada", "-n", "3")
    hold = ok("gpualloc", "hold", "--machine", MACHINE, "-n", "2", "--for", "1h", who="bob").strip()
    try:
        assert "stays until the next boot" in remove()
        assert not is_there("gpualloc") and inode() == before and ada.lives()
        assert os.path.exists(CONFIG)  # a conffile; only a purge takes it
        install()
        assert inode() == before and leases() == {ada.lease: "ada", hold: "bob"}, leases()
        refused("bob", "-n", "4")
        # Even a purge takes nothing from the living.
        assert "stays until the next boot" in remove("--purge")
        assert ada.lives() and inode() == before and not os.path.exists(CONFIG)
        install()
        assert leases() == {ada.lease: "ada", hold: "bob"}, leases()
        ok("gpualloc", "release", "--yes", hold, who="bob")
        ada.end()
        ok("gpualloc", "run", "--machine", MACHINE, "-n", "8", "true", who="bob")
    finally:
        ada.end()


@case
def samples_are_for_the_administrator_to_switch_on_and_go_with_a_purge():
    wanted = f"/etc/systemd/system/timers.target.wants/{TIMER}"
    assert any(path.endswith(f"/{TIMER}") for path in files_of("gpualloc"))
    assert not os.path.lexists(wanted)
    ok("systemctl", "enable", TIMER)
    ok("gpualloc", "usage", "--sample", "--machine", MACHINE)
    os.mkdir("/tmp/theirs")
    with open("/tmp/theirs/file", "w", encoding="utf-8"):
        pass
    os.symlink("/tmp/theirs", f"{SAMPLES}/link")
    install("/tmp/next")
    assert os.path.islink(wanted) and os.path.exists(f"{SAMPLES}/now")
    remove()
    assert os.path.exists(f"{SAMPLES}/now")
    remove("--purge")
    assert not os.path.lexists(wanted) and not os.path.lexists(SAMPLES)
    # Nor does it follow a link that somebody has put in the place of the folder.
    install()
    assert not os.path.lexists(wanted)
    os.symlink("/tmp/theirs", SAMPLES)
    remove("--purge")
    assert not os.path.lexists(SAMPLES) and os.listdir("/tmp/theirs") == ["file"]
    install()


@case
def a_fence_is_for_the_administrator_to_put_up():
    wanted, probe = "/etc/systemd/system/multi-user.target.wants/gpualloc-fence.service", "/usr/libexec/gpualloc/gpualloc-probe"
    assert {"gpualloc-fence.service", "90-gpualloc.rules"} <= set(map(os.path.basename, files_of("gpualloc")))
    assert not os.path.lexists(wanted)
    status = os.stat(probe)
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o755, 0, 0), status
    assert probe in run("gpualloc", "setup", "--fence", "--check", who="ada").stderr
    ok("systemctl", "enable", "gpualloc-fence.service")
    assert os.path.islink(wanted)
    install("/tmp/next")
    assert os.path.islink(wanted)
    remove("--purge")
    assert not os.path.lexists(wanted)
    install()
    assert not os.path.lexists(wanted)


@case
def a_samples_folder_on_a_disk_of_its_own_is_emptied_and_stops_no_purge():
    os.mkdir(SAMPLES)
    ok("mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", SAMPLES)
    try:
        ok("gpualloc", "usage", "--sample", "--machine", MACHINE)
        assert "is yours to remove" in remove("--purge")
        assert os.listdir(SAMPLES) == []
    finally:
        ok("umount", SAMPLES)
        os.rmdir(SAMPLES)
    install()


@case
def systemd_is_told_to_stop_the_timer_with_the_package_and_never_to_start_one_that_is_disabled():
    """This copy has no systemd that runs, so it is one that says what it is told."""
    said, systemctl, policy = "/tmp/systemctl-was-told", "/usr/local/sbin/systemctl", "/usr/sbin/policy-rc.d"
    with open(systemctl, "w", encoding="utf-8") as file:
        file.write(f'#!/bin/sh\necho "$*" >>{said}\n'
                   'case "$*" in *is-enabled*) echo disabled; exit 1 ;; *is-active*) exit 3 ;; esac\n')
    os.chmod(systemctl, 0o755)
    if os.path.lexists(policy):
        os.unlink(policy)  # images have one that lets nothing be started or stopped
    os.makedirs("/run/systemd/system")
    try:
        install("/tmp/next")
        remove()
    finally:
        os.rmdir("/run/systemd/system")
        os.unlink(systemctl)
    install()
    with open(said, encoding="utf-8") as file:
        told = [line.split() for line in file if TIMER in line]
    assert any("stop" in words for words in told), told
    assert not any({"start", "restart"} & set(words) for words in told), told


@case
def the_agent_of_a_kubernetes_node_runs_with_the_settings_of_its_manifest():
    with open("/usr/share/gpualloc/kubernetes/daemonset.yaml", encoding="utf-8") as file:
        manifest = file.read()
    programs = set(re.findall(r'command: \["([^"]+)"', manifest))
    assert programs == {"gpualloc", "gpualloc-k8s"} and all(map(is_there, programs)), programs
    settings = re.search(r"^  gpualloc-k8s\.conf: \|\n((?:    .*\n)+)", manifest, re.MULTILINE).group(1)
    with open("/tmp/gpualloc-k8s.conf", "w", encoding="utf-8") as file:
        file.write(textwrap.dedent(settings).replace("log = json\n", ""))
    os.mkdir("/tmp/kubelet")
    with subprocess.Popen(["timeout", str(PATIENCE), "gpualloc-k8s", "--config", "/tmp/gpualloc-k8s.conf",
                           "--machine", MACHINE, "--kubelet-dir", "/tmp/kubelet", "--pod-resources",
                           "/tmp/kubelet/pods"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                          **as_user("root")) as agent:
        lines = []
        for line in agent.stderr:
            lines.append(line)
            if "not registered with the kubelet yet" in line:  # it serves, and there is no kubelet here
                break
        agent.terminate()
        lines += agent.stderr
    assert agent.returncode == 0, "".join(lines)
    assert any("8 of 8 devices are healthy" in line for line in lines), "".join(lines)


@case
def a_c_program_is_built_with_the_development_package():
    example = "/usr/share/doc/libgpualloc-dev/examples"
    flags = ok("pkg-config", "--cflags", "--libs", "gpualloc").split()
    ok("cc", "-o", "/tmp/allocator", f"{example}/allocator.c", *flags)
    assert ok("/tmp/allocator", MACHINE).startswith("taken: GPU-")
    assert "libgpualloc.so.1" in ok("ldd", "/tmp/allocator")


@case
def a_cmake_project_finds_it():
    if not is_there("cmake"):
        raise Skip("cmake is not installed")
    ok("cmake", "-S", "/usr/share/doc/libgpualloc-dev/examples/cmake", "-B", "/tmp/cmake")
    ok("cmake", "--build", "/tmp/cmake")
    assert "MiB free" in ok("/tmp/cmake/by_memory", "1GiB", "best-fit", MACHINE)


@case
def python_leases_in_the_same_store():
    script = ("import gpualloc, sys\n"
              f"with gpualloc.lease(2, machine='{MACHINE}') as lease:\n"
              "    print(lease.id, flush=True)\n"
              "    sys.stdin.read()\n")
    with subprocess.Popen(["python3", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True, **as_user("bob")) as bob:
        lease = bob.stdout.readline().strip()
        assert leases("ada") == {lease: "bob"}, (lease, leases("ada"))
    assert leases() == {}


@case
def srun_has_the_option_after_the_line_that_the_document_names():
    with open("/usr/share/doc/gpualloc-slurm/README.Debian", encoding="utf-8") as file:
        line = re.search(r"echo '(optional [^']*)'", file.read()).group(1)
    with open("/etc/slurm/plugstack.conf.d/gpualloc.conf", "w", encoding="utf-8") as file:
        file.write(line + "\n")
    with open("/etc/slurm/slurm.conf", "w", encoding="utf-8") as file:
        file.write("ClusterName=test\nSlurmctldHost=localhost\nAuthType=auth/none\nCredType=cred/none\n"
                   "NodeName=localhost\nPartitionName=all Nodes=ALL Default=YES\n")
    assert "--gpualloc=N" in ok("srun", "--help")


@case
def removed_and_purged_they_leave_nothing_behind():
    paths = {path for name in names() for path in files_of(name)}
    assert len(paths) > 40, paths
    said = remove()
    assert "stays until the next boot" not in said, said
    print("".join(f"# {line}\n" for line in said.splitlines()), end="")
    assert not os.path.exists(STORE) and os.path.exists(CONFIG)
    remove("--purge")
    left = sorted(path for path in paths if os.path.lexists(path))
    assert left == [], left
    found = ok("find", "/etc", "/var/lib", "/usr/lib/systemd", "/lib/systemd", "-xdev", "-name", "*gpualloc*",
               "-not", "-path", "/etc/slurm/*")
    assert found == "", found
    assert not os.path.exists("/usr/lib/python3/dist-packages/gpualloc")


# ---- ----

def main():
    failed = False
    print(f"1..{len(CASES)}", flush=True)
    for number, function in enumerate(CASES, 1):
        name = function.__name__.replace("_", " ")
        try:
            function()
            print(f"ok {number} - {name}", flush=True)
        except Skip as reason:
            print(f"ok {number} - {name} # SKIP {reason}", flush=True)
        except Exception:  # whatever it was, the other cases should still run
            failed = True
            print("".join(f"# {line}\n" for line in traceback.format_exc().splitlines())
                  + f"not ok {number} - {name}", flush=True)
    return failed


if sys.argv[1:] == ["inside"]:
    sys.exit(main())
elsewhere.stay_outside(__file__, os.path.abspath(sys.argv[1]))
