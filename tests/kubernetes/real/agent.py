# SPDX-License-Identifier: Apache-2.0
"""gpualloc-k8s and gpualloc on the node: with a libnvidia-ml of our own that plays a machine from a file."""
import json
import os
import signal
import subprocess

import cli
from api import until
from daemon import Daemon

STORE = "/run/gpualloc"
RESOURCE = "nvidia.com/gpu"


class Machine:
    """A DGX-1 with V100s, whose GPUs can be lost and come back."""

    def __init__(self, where, name="dgx1-volta"):
        self.path = os.path.join(where, "machine.json")
        self.content = json.loads(cli.ok("snapshot", "--machine", name))
        self.write()
        self.env = cli.environment(LD_LIBRARY_PATH=os.path.dirname(os.environ["FAKE_NVML"]), FAKE_MACHINE=self.path,
                                   GPUALLOC_STATE_DIR=STORE)

    def write(self):
        with open(self.path + ".new", "w", encoding="utf-8") as file:
            json.dump(self.content, file)
        os.rename(self.path + ".new", self.path)

    def set_health(self, index, health):
        self.content["devices"][index]["health"] = health
        self.write()

    def uuid(self, index):
        return self.content["devices"][index]["uuid"]

    def index(self, uuid):
        return next(i for i, device in enumerate(self.content["devices"]) if device["uuid"] == uuid)

    def command(self, *words):
        """gpualloc as a person on the node has it."""
        done = subprocess.run([cli.GPUALLOC, *words], env=self.env, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, check=False, timeout=120)
        return done

    def hold(self, *words):
        """Somebody who has GPUs by `gpualloc run`, until communicate()."""
        person = subprocess.Popen([cli.GPUALLOC, "run", *words, "--", "sh", "-c", "echo here; read line"],
                                  env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert person.stdout.readline() == "here\n", person.communicate()
        return person

    def best(self, count):
        """What gpualloc would take now, as indices."""
        done = self.command("pick", "--policy", "balanced", "-n", str(count), "--format", "uuid")
        assert done.returncode == 0, done.stderr
        return sorted(self.index(one) for one in done.stdout.strip().replace("\n", ",").split(","))

    def leases(self):
        done = self.command("leases", "--json")
        assert done.returncode == 0, done.stderr
        return {self.index(device): lease.get("note") for lease in json.loads(done.stdout)["leases"]
                for device in lease["devices"]}

    def wait_leases(self, wanted):
        until(f"leases of {sorted(wanted)}", lambda: sorted(self.leases()) == sorted(wanted),
              state=lambda: str(self.leases()))


class Agent(Daemon):
    def __init__(self, cluster, machine, *words, name="gpualloc-k8s"):
        super().__init__(cluster.where, name, [
            os.environ["GPUALLOC_K8S"], "--machine", "nvml", "--store", STORE, "--kernel-log", "none",
            "--interval", "500ms", "--recover-after", "1s", *words], machine.env)
        self.cluster = cluster
        cluster.daemons[name] = self

    def wait_registered(self, after=0):
        """In what the log says after so many characters."""
        until(f"{self.name} registers", lambda: self.runs() and
              ": registered with the kubelet" in self.end_of_log(10000)[after:], state=self.end_of_log)

    def end(self, number=signal.SIGTERM):
        """Nobody may miss it."""
        self.cluster.daemons.pop(self.name, None)
        return super().end(number)

    def memory(self):
        with open(f"/proc/{self.process.pid}/smaps_rollup", encoding="utf-8") as file:
            sizes = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in file if line.endswith("kB\n")}
        return f"{sizes['Rss']:.1f} MiB resident, {sizes['Pss']:.1f} MiB its own share"

    def leave(self):
        """As at the end of its service."""
        assert self.end() == 0, self.end_of_log()
