# SPDX-License-Identifier: Apache-2.0
"""Hosts for the tests of --on: real sshds on ports of the loopback device, each with keys, a
configuration, a store and a machine of its own. ssh finds them by a configuration that only the
tests' wrapper names, so nothing of the user's is read or written."""
import os
import select
import shutil
import stat
import subprocess
import time

import cli
from ports import free_port

PATIENCE = 60
SSHD = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
LOGIN = "ssh"  # what answers to this name


def missing():
    """Why there can be no sshd here, or None."""
    if not SSHD or not shutil.which("ssh"):
        return "no sshd here"
    if os.getuid() == 0:
        try:
            os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        except OSError as error:
            return f"cannot make /run/sshd: {error.strerror}"
    return None


def make_key(path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", path],
                   check=True)


class Host:
    """One sshd, named for its log line when it listens."""

    def __init__(self, lab, name, machine, **more):
        self.lab, self.name, self.process = lab, name, None
        self.where = os.path.join(lab.where, name)
        os.mkdir(self.where)
        self.store = os.path.join(self.where, "store")
        self.machine = machine
        self.env = {"GPUALLOC_MACHINE": machine, "GPUALLOC_STATE_DIR": self.store,
                    "GPUALLOC_CONFIG": os.path.join(self.where, "gpualloc.conf"),
                    # bash reads its user's ~/.bashrc for sshd, unless it is within another shell.
                    "SHLVL": "2",
                    "PATH": lab.binaries + ":" + os.environ["PATH"], **more.pop("env", {})}
        self.lines = more.pop("lines", [])
        assert not more, more

    def start(self):
        for _ in range(20):
            self.port = free_port()
            if self.listens():
                return self
        raise AssertionError(f"no sshd: {self.log}")

    def listens(self):
        config = os.path.join(self.where, "sshd_config")
        pairs = " ".join(f'"{key}={value}"' for key, value in self.env.items())
        with open(config, "w", encoding="utf-8") as file:
            file.write("\n".join([
                f"Port {self.port}", "ListenAddress 127.0.0.1", f"HostKey {self.lab.host_key}",
                f"AuthorizedKeysFile {self.lab.key}.pub", "StrictModes no", "UsePAM no",
                "PasswordAuthentication no", "KbdInteractiveAuthentication no", "PidFile none",
                "PermitRootLogin yes", "MaxStartups 200", "MaxSessions 200", "LogLevel INFO",
                f"SetEnv {pairs}", *self.lines, ""]))
        self.process = subprocess.Popen([SSHD, "-D", "-e", "-f", config], stdin=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, env=cli.environment())
        self.log = b""
        until = time.monotonic() + PATIENCE
        while b"Server listening" not in self.log and time.monotonic() < until:
            if select.select([self.process.stderr], [], [], 1)[0]:
                part = os.read(self.process.stderr.fileno(), 4096)
                if not part:
                    break
                self.log += part
        if b"Server listening" in self.log:
            # Nobody reads on, and an sshd that cannot write its log would stand still.
            with open(os.path.join(self.where, "log"), "wb") as sink:
                self.drain = subprocess.Popen(["cat"], stdin=self.process.stderr, stdout=sink)
            return True
        self.process.kill()
        self.process.wait()
        return False

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.drain.wait(PATIENCE)
            self.process.stderr.close()
            self.process = None

    def logged(self):
        with open(os.path.join(self.where, "log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def run(self, *words, **options):
        """As somebody who is on that host."""
        return cli.run(*words, env=self.env, **options)


class Lab:
    """Several hosts and the client that knows them."""

    def __init__(self, where, machines=("dgx1-volta", "dgx1-volta", "rtx8000x4"), **more):
        self.where = where
        self.key, self.host_key = os.path.join(where, "key"), os.path.join(where, "host_key")
        make_key(self.key)
        make_key(self.host_key)
        self.binaries = os.path.join(where, "bin")
        os.mkdir(self.binaries)
        os.symlink(cli.GPUALLOC, os.path.join(self.binaries, "gpualloc"))
        self.hosts = [Host(self, f"gpu{i + 1}", machine, **more)
                      for i, machine in enumerate(machines)]
        self.file = os.path.join(where, "hosts")
        self.ssh = os.path.join(where, "ssh")
        self.sockets = os.path.join(where, "s")
        os.mkdir(self.sockets)
        self.started = []
        self.extra = {}

    def __enter__(self):
        for host in self.hosts:
            self.started.append(host.start())
        self.configure()
        self.write("\n".join(f"{host.name} lab" for host in self.hosts))
        return self

    def __exit__(self, *_):
        for host in self.started:
            host.stop()

    def configure(self):
        ports = {host.name: host.port for host in self.hosts} | self.extra
        config = os.path.join(self.where, "ssh_config")
        with open(config, "w", encoding="utf-8") as file:
            for name, port in ports.items():
                file.write(f"Host {name}\n  HostName 127.0.0.1\n  Port {port}\n"
                           f"  HostKeyAlias lab\n")
            file.write(f"Host *\n  KexAlgorithms curve25519-sha256\n  IdentityFile {self.key}\n  IdentitiesOnly yes\n"
                       f"  UserKnownHostsFile {self.where}/known\n  StrictHostKeyChecking yes\n"
                       f"  GlobalKnownHostsFile none\n  IdentityAgent none\n")
        with open(f"{self.host_key}.pub", encoding="utf-8") as public, \
                open(f"{self.where}/known", "w", encoding="utf-8") as known:
            known.write("lab " + public.read())
        self.make_ssh(f'exec ssh -F {config} "$@"')

    def make_ssh(self, line):
        with open(self.ssh, "w", encoding="utf-8") as script:
            script.write(f"#!/bin/sh\n{line}\n")
        os.chmod(self.ssh, stat.S_IRWXU | stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH)

    def write(self, text):
        with open(self.file, "w", encoding="utf-8") as file:
            file.write(text + "\n")

    def env(self, **more):
        return {"GPUALLOC_SSH": self.ssh, "GPUALLOC_HOSTS": self.file,
                "XDG_RUNTIME_DIR": self.sockets, **more}

    def run(self, *words, env=None, **options):
        return cli.run(*words, env=self.env(**(env or {})), **options)
