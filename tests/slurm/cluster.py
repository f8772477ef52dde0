# SPDX-License-Identifier: Apache-2.0
"""A real Slurm on loopback: slurmctld and several slurmd in their own folder, each node with its
own store. Nothing outside the folder is touched, and stop() leaves nothing behind."""
import contextlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from cli import GPUALLOC, Skip, environment
from people import two_people
from ports import free_ports

PLUGIN = os.environ.get("SPANK_PLUGIN", "")
PATIENCE = 60  # seconds after which an expected event counts as hanging
AT_ONCE = 3  # clusters side by side: they mostly wait for Slurm's own clocks
TOOLS = "/usr/sbin:/usr/bin:/sbin:/bin"

CONF = """\
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={port}
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/none
CredType=cred/none
StateSaveLocation={where}/state
SlurmdSpoolDir={where}/spool/%n
SlurmctldPidFile={where}/run/slurmctld.pid
SlurmdPidFile={where}/run/slurmd.%n.pid
SlurmctldLogFile={where}/log/slurmctld.log
SlurmdLogFile={where}/log/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
MpiDefault=none
MailProg=/bin/true
ReturnToService=2
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,batch_sched_delay=1,sched_min_interval=1000,sched_interval=1
KillWait=1
UnkillableStepTimeout=20
PlugStackConfig={where}/plugstack.conf
GresTypes=gpu,gpualloc
"""
NODE = "NodeName={name} NodeHostname=localhost NodeAddr=127.0.0.1 Port={port} {shape} " \
       "RealMemory=1000 Gres={gres}\n"


def wait_until(what, holds):
    """Asks again and again; each question is a program or a look into /proc, which takes time."""
    end = time.monotonic() + PATIENCE
    while not (found := holds()):
        if time.monotonic() > end:
            raise AssertionError(f"{PATIENCE} s and still not: {what}")
    return found


class Myself:
    """The user who runs the tests, if not root; like people.Person."""

    def __init__(self):
        self.uid, self.gid = os.geteuid(), os.getegid()
        self.name = pwd.getpwuid(self.uid).pw_name

    @staticmethod
    def as_them(**more):
        return {"cwd": "/", **more}


@contextlib.contextmanager
def plain_user():
    if os.geteuid() != 0:
        yield Myself()
        return
    with two_people() as (ada, _):
        yield ada


class Node:
    """machine=None lets the plugin find one; words follow it in plugstack.conf."""

    def __init__(self, name, gres="gpualloc:8", machine="dgx1-volta", gres_conf=""):
        self.name, self.gres, self.machine, self.gres_conf = name, gres, machine, gres_conf
        self.shape = "Sockets=2 CoresPerSocket=32 ThreadsPerCore=1"
        self.daemon, self.env = None, {}


def use_munge(one):
    """As on a real cluster: a daemon of root's attests who a user is."""
    if not shutil.which("munged", path=TOOLS):
        raise Skip("munged is not installed")
    key, socket_path = one.path("munge.key"), one.path("munge.socket")
    with open(key, "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(os.urandom(128))
    one.extra += f"AuthType=auth/munge\nCredType=cred/munge\nAuthInfo=socket={socket_path}\n"
    words = ["munged", "--foreground", f"--key-file={key}", f"--socket={socket_path}",
             f"--pid-file={one.path('munge.pid')}", f"--seed-file={one.path('munge.seed')}",
             f"--log-file={one.path('munge.log')}"]
    one.daemons.append(subprocess.Popen(words, env={"PATH": TOOLS}, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        start_new_session=True))
    wait_until("munged answers", lambda: os.path.exists(socket_path))


class Result:
    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    def __repr__(self):
        return f"exit {self.code}, stdout {self.out[:800]!r}, stderr {self.err[:2000]!r}"


HOLD = "echo $SLURM_JOB_ID $$ $GPUALLOC_DEVICES; {script} read line < {fifo}"


class Job:
    """An srun whose task has said that it runs, and stays until end() lets it go."""

    def __init__(self, one, options, script, person, more):
        self.fifo = one.path(f"fifo-{len(one.jobs)}")
        os.mkfifo(self.fifo)
        os.chmod(self.fifo, 0o666)
        # To read and write, so that neither side ever waits for the other to open it.
        self.handle = os.open(self.fifo, os.O_RDWR | os.O_CLOEXEC)
        command = HOLD.format(script=script, fifo=self.fifo)
        self.srun = one.start_command("srun", *options, "sh", "-c", command, person=person, **more)

    def started(self):
        """Reads what the task says first; blocks until it runs."""
        self.said = self.srun.stdout.readline().split()
        assert len(self.said) >= 2, self.srun.communicate()
        self.number, self.pid = map(int, self.said[:2])
        self.devices = self.said[2].split(",") if len(self.said) > 2 else []
        return self

    def let_go(self):
        os.write(self.handle, b"\n")

    def end(self, let_go=True):
        if let_go:
            self.let_go()
        self.out, self.err = self.srun.communicate(timeout=PATIENCE)
        return self.srun.returncode

    def close(self):
        os.close(self.handle)
        if self.srun.poll() is None:
            self.srun.kill()
        self.srun.communicate()


class Cluster:
    def __init__(self, where, nodes, person, plugstack, extra):
        self.where, self.nodes, self.person = where, {node.name: node for node in nodes}, person
        self.daemons, self.jobs, self.plugstack, self.extra = [], [], plugstack, extra

    # ---- files ----

    def path(self, *parts):
        return os.path.join(self.where, *parts)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def read(self, *parts):
        with open(self.path(*parts), encoding="utf-8", errors="replace") as file:
            return file.read()

    def configure(self):
        if self.person:
            self.give_away()
        ports = free_ports(len(self.nodes) + 1)
        own = {line.split("=")[0] for line in self.extra.splitlines()}
        lines = [line for line in CONF.splitlines(True) if line.split("=")[0] not in own]
        text = "".join(lines).format(where=self.where, port=ports[0],
                           user=self.person.name if self.person else "root")
        for node, port in zip(self.nodes.values(), ports[1:]):
            text += NODE.format(name=node.name, port=port, shape=node.shape, gres=node.gres)
            os.makedirs(self.path("spool", node.name))
        text += "PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP\n" + self.extra
        for folder in ("state", "run", "log"):
            os.makedirs(self.path(folder))
        self.write("slurm.conf", text)
        self.write("plugstack.conf", self.plugstack.format(plugin=PLUGIN, where=self.where))
        self.write("gres.conf", "".join(node.gres_conf for node in self.nodes.values()))
        if self.person:
            self.give_away()
        for node in self.nodes.values():
            self.make_store(node)

    def make_store(self, node):
        """Root makes it for everybody; a plain user makes one by using it."""
        words = ["setup"] if os.geteuid() == 0 and not self.person else \
            ["run", "--machine", "dgx1-volta", "true"]
        done = subprocess.run([GPUALLOC, *words], capture_output=True, text=True, check=False,
                              env=environment(GPUALLOC_STATE_DIR=self.path(f"store-{node.name}")),
                              **self.as_them())
        assert done.returncode == 0, done

    def give_away(self):
        """Gives the folder and everything in it to the user the daemons run as."""
        for folder, folders, files in os.walk(self.where):
            for name in [".", *folders, *files]:
                os.chown(os.path.join(folder, name), self.person.uid, self.person.gid)

    # ---- daemons ----

    def environment(self, node=None, **more):
        env = environment(SLURM_CONF=self.path("slurm.conf"), PATH=TOOLS)
        env.update({"SLURM_CONF": self.path("slurm.conf")})
        if node:
            env["GPUALLOC_STATE_DIR"] = self.path(f"store-{node.name}")
            if node.machine:
                env["GPUALLOC_MACHINE"] = node.machine
            env.update(node.env)
        env.update(more)
        return env

    def as_them(self):
        return self.person.as_them() if self.person else {}

    def start_daemon(self, *words, node=None):
        with open(self.path("log", "out"), "ab") as out:
            self.daemons.append(subprocess.Popen(
                words, env=self.environment(node), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                start_new_session=True, **self.as_them()))
        return self.daemons[-1]

    def start_node(self, name):
        node = self.nodes[name]
        node.daemon = self.start_daemon("slurmd", "-D", "-N", name, node=node)

    def start(self):
        self.start_daemon("slurmctld", "-D", "-i")
        # A node that cannot register tries again after ten seconds.
        wait_until("slurmctld answers", lambda: self.ask("scontrol", "ping").code == 0)
        for name in self.nodes:
            self.start_node(name)
        for name in self.nodes:
            self.wait_for_node(name)

    def state(self, name):
        return self.ask("sinfo", "-h", "-N", "-n", name, "-o", "%T").out.strip()

    def wait_for_node(self, name, state="idle"):
        try:
            wait_until(f"node {name} is {state}", lambda: self.state(name) == state)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.state(name)!r}\n{self.logs()}") from error

    def logs(self):
        return "\n".join(f"{name}:\n{self.read('log', name)[-1500:]}"
                         for name in sorted(os.listdir(self.path("log"))))

    def own_processes(self):
        """Every process started below these daemons, even if it has detached itself."""
        mark = f"SLURM_CONF={self.where}/".encode()
        for word in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                with open(f"/proc/{word}/environ", "rb") as file:
                    if mark in file.read():
                        yield int(word)

    def stop(self):
        """All at once: one by one they would wait for each other, and slurmctld for jobs."""
        for job in self.jobs:
            job.close()
        self.kill_others()  # slurmd waits for jobs that a failed test has left behind
        for daemon in self.daemons:
            with contextlib.suppress(ProcessLookupError):
                daemon.send_signal(signal.SIGTERM)
        for daemon in self.daemons:
            try:
                daemon.wait(timeout=1)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self.kill_others()

    def kill_others(self):
        for pid in set(self.own_processes()) - {daemon.pid for daemon in self.daemons}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    # ---- people ----

    def start_command(self, *words, person=None, **more):
        person = person or self.person
        return subprocess.Popen(words, env=self.environment(**more), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                **(person.as_them() if person else {"cwd": self.where}))

    def ask(self, *words, person=None, **more):
        started = self.start_command(*words, person=person, **more)
        try:
            out, err = started.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            started.kill()
            out, err = started.communicate()
            raise AssertionError(f"{words}: hangs\n{out}\n{err}\n{self.logs()}") from None
        return Result(subprocess.CompletedProcess(words, started.returncode, out, err))

    def ok(self, *words, **more):
        result = self.ask(*words, **more)
        assert result.code == 0, f"{words}: {result!r}\n{self.logs()}"
        return result.out

    def gpualloc(self, node, *words, **more):
        """As somebody who has logged in there."""
        node = self.nodes[node]
        return self.ask(GPUALLOC, *words, GPUALLOC_STATE_DIR=self.path(f"store-{node.name}"),
                        GPUALLOC_MACHINE=node.machine, **more)

    def leases(self, node):
        return json.loads(self.gpualloc(node, "leases", "--json").out)

    @contextlib.contextmanager
    def at_login(self, node, count):
        """The devices that somebody holds on that node with gpualloc run."""
        said = self.start_command(GPUALLOC, "run", "-n", str(count), "sh", "-c",
                                  "echo $GPUALLOC_DEVICES; exec sleep 1000",
                                  GPUALLOC_STATE_DIR=self.path(f"store-{node}"),
                                  GPUALLOC_MACHINE=self.nodes[node].machine)
        try:
            yield said.stdout.readline().strip().split(",")
        finally:
            said.kill()
            said.communicate()

    def is_free(self, node):
        """Whether a newcomer gets every device."""
        return not self.leases(node)["leases"] and \
            self.gpualloc(node, "run", "-n", "8", "true").code == 0

    def job(self, number):
        """What Slurm says about a job, as a dictionary."""
        words = self.ok("scontrol", "show", "job", str(number)).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def wait_for_end(self, number):
        ends = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")
        wait_until(f"job {number} has ended", lambda: self.job(number)["JobState"] in ends)
        return self.job(number)

    def batch(self, *options, script):
        """Its number and what it printed, when it has ended."""
        out = self.path(f"out-{len(os.listdir(self.where))}")
        with open(out, "w", encoding="utf-8"):
            os.chmod(out, 0o666)
        said = self.ok("sbatch", "--parsable", "-o", out, *options, "--wrap", script)
        number = int(said.split(";")[0])
        self.wait_for_end(number)
        with open(out, encoding="utf-8") as file:
            return number, file.read()

    def hold(self, *options, person=None, script="", **more):
        self.jobs.append(Job(self, options, script, person, more))
        return self.jobs[-1]


@contextlib.contextmanager
def cluster(*nodes, person=None, plugstack="optional {plugin}\n", extra="", prepare=None):
    """extra are lines of slurm.conf, which replace those of the same name."""
    if not PLUGIN:
        raise Skip(os.environ.get("SPANK_SKIP", "no plugin was built"))
    if not shutil.which("slurmctld", path=TOOLS) or not shutil.which("slurmd", path=TOOLS):
        raise Skip("slurmctld and slurmd are not installed")
    try:
        socket.getaddrinfo(socket.gethostname(), None)
    except OSError as error:
        raise Skip("Slurm's daemons look up this machine's own name, "
                   f"{socket.gethostname()}: {error} (a line in /etc/hosts mends that)") from None
    if not person and os.geteuid() != 0:
        person = Myself()
    where = tempfile.mkdtemp(prefix="gpualloc-slurm-")
    os.chmod(where, 0o755)
    one = Cluster(where, nodes, person, plugstack, extra)
    try:
        if prepare:
            prepare(one)
        one.configure()
        one.start()
        yield one
    finally:
        one.stop()
        shutil.rmtree(where)
