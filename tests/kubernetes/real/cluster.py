# SPDX-License-Identifier: Apache-2.0
"""A cluster of one node made of real programs. Each part is started when the first case needs it."""
import json
import os

from api import Api, until
from daemon import Daemon
from images import Registry
from keys import Keys
from place import ADDRESS, NODE

PORT = 6443
KUBELET = "/var/lib/kubelet"
CONTAINERD = "/run/containerd/containerd.sock"
DEFAULT = "/api/v1/namespaces/default"


class Cluster:
    def __init__(self, programs, where):
        self.programs, self.where = programs, where
        self.daemons, self.parts = {}, {}
        self.keys = self.api = self.registry = None

    def start(self, name, words, env=None):
        env = {**(os.environ if env is None else env), "PATH": self.programs.folder + ":" + os.environ["PATH"]}
        daemon = Daemon(self.where, name, [self.programs.path(name), *words], env)
        self.daemons[name] = daemon
        return daemon

    def end(self):
        for daemon in reversed(list(self.daemons.values())):
            daemon.end()

    def once(self, part, start):
        """Starts a part; where it fails, everyone who needs it does."""
        if part not in self.parts:
            self.parts[part] = "did not start"
            start()
            self.parts[part] = None
        assert not self.parts[part], f"{part} {self.parts[part]}"

    def tidy(self):
        """After a case that failed: its pods are not the next one's affair."""
        if self.api:
            for pod in self.api.list(DEFAULT + "/pods"):
                self.api.delete(f"{DEFAULT}/pods/{pod['metadata']['name']}")
            until("pods have gone", lambda: not self.api.list(DEFAULT + "/pods"))

    # ---- etcd and the API server ----

    def need_control(self):
        self.once("the API server", self.start_control)

    def start_control(self):
        self.keys = Keys(os.path.join(self.where, "keys"), f"https://127.0.0.1:{PORT}")
        certificate, key = self.keys.issue("server", "kube-apiserver", addresses=[
            "IP:127.0.0.1", "IP:" + ADDRESS, "IP:10.0.0.1", "DNS:localhost", "DNS:kubernetes.default.svc"])
        admin = self.keys.issue("admin", "admin", "system:masters")
        kubelet = self.keys.issue("apiserver-kubelet", "apiserver", "system:masters")
        etcd = self.start("etcd", [
            "--data-dir", "/run/etcd", "--listen-client-urls", "http://127.0.0.1:2379", "--advertise-client-urls",
            "http://127.0.0.1:2379", "--listen-peer-urls", "http://127.0.0.1:2380"])
        server = self.start("kube-apiserver", [
            "--etcd-servers=http://127.0.0.1:2379", "--bind-address=127.0.0.1", f"--secure-port={PORT}",
            f"--advertise-address={ADDRESS}", "--endpoint-reconciler-type=none",
            "--service-cluster-ip-range=10.0.0.0/24", f"--client-ca-file={self.keys.path('ca.crt')}",
            f"--tls-cert-file={certificate}", f"--tls-private-key-file={key}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self.keys.path('accounts.key')}",
            f"--service-account-signing-key-file={self.keys.path('accounts.key')}",
            f"--kubelet-client-certificate={kubelet[0]}", f"--kubelet-client-key={kubelet[1]}",
            "--kubelet-preferred-address-types=InternalIP",
            "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged=true",
            f"--cert-dir={self.where}/apiserver"])
        api = Api("127.0.0.1", PORT, self.keys.path("ca.crt"), *admin)
        until("the API server is ready", lambda: etcd.runs() and server.runs() and api.is_ready(),
              state=server.end_of_log)
        self.api = api
        until("the namespace default", lambda: api.is_there(DEFAULT))
        # Where no controller manager does it. A pod may not be made before.
        self.api.make_once(DEFAULT + "/serviceaccounts", {"metadata": {"name": "default"}})

    # ---- the scheduler and the controllers ----

    def need_scheduler(self):
        self.need_control()
        self.once("the scheduler", self.start_scheduler)

    def start_scheduler(self):
        config = self.keys.kubeconfig("scheduler", "system:kube-scheduler")
        self.start("kube-scheduler", [f"--kubeconfig={config}", f"--authentication-kubeconfig={config}",
                                      f"--authorization-kubeconfig={config}", "--leader-elect=false",
                                      "--bind-address=127.0.0.1", f"--cert-dir={self.where}/scheduler"])

    def start_controllers(self):
        config = self.keys.kubeconfig("controllers", "system:kube-controller-manager")
        self.start("kube-controller-manager", [
            f"--kubeconfig={config}", f"--authentication-kubeconfig={config}",
            f"--authorization-kubeconfig={config}", "--leader-elect=false", "--bind-address=127.0.0.1",
            f"--root-ca-file={self.keys.path('ca.crt')}", "--use-service-account-credentials=true",
            f"--service-account-private-key-file={self.keys.path('accounts.key')}",
            f"--cert-dir={self.where}/controllers"])

    # ---- the node ----

    def need_node(self):
        self.need_scheduler()
        self.once("the node", self.start_node)

    def start_node(self):
        if not self.programs.missing(["kube-controller-manager"]):
            self.start_controllers()
        self.need_containerd()
        self.start_kubelet()
        until("the node is registered", lambda: self.runs() and self.api.is_there("/api/v1/nodes/" + NODE),
              state=self.daemons["kubelet"].end_of_log)

    def need_containerd(self):
        self.once("containerd", self.start_containerd)

    def start_containerd(self):
        self.registry = Registry()
        path = os.path.join(self.where, "containerd.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f'''version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "{CONTAINERD}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{self.registry.image}"
  disable_apparmor = true
  restrict_oom_score_adj = true
  enable_cdi = true
  cdi_spec_dirs = ["/run/cdi"]
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{self.where}/cni/bin"
    conf_dir = "{self.where}/cni/conf"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = "{self.programs.path('runc')}"
[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"
''')
        os.makedirs("/run/cdi", exist_ok=True)
        daemon = self.start("containerd", ["--config", path])
        until("containerd answers", lambda: daemon.runs() and os.path.exists(CONTAINERD), state=daemon.end_of_log)

    def start_kubelet(self):
        config = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
            "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": True},
                               "x509": {"clientCAFile": self.keys.path("ca.crt")}},
            "authorization": {"mode": "Webhook"},
            "address": ADDRESS, "healthzBindAddress": "127.0.0.1",
            "containerRuntimeEndpoint": "unix://" + CONTAINERD,
            # What the machine forbids, or has no use for here.
            "cgroupDriver": "cgroupfs", "cgroupsPerQOS": False, "enforceNodeAllocatable": [],
            "failCgroupV1": False, "failSwapOn": False, "oomScoreAdj": 0, "makeIPTablesUtilChains": False,
            "evictionHard": {"memory.available": "1Mi", "nodefs.available": "0%", "imagefs.available": "0%"},
            "nodeStatusUpdateFrequency": "1s", "syncFrequency": "1s",
            "volumePluginDir": os.path.join(self.where, "volume-plugins")}
        path = os.path.join(self.where, "kubelet.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(config, file, indent=1)
        kubeconfig = self.keys.kubeconfig("kubelet", "system:node:" + NODE, "system:nodes")
        self.start("kubelet", [f"--config={path}", f"--kubeconfig={kubeconfig}", f"--root-dir={KUBELET}",
                               f"--cert-dir={self.where}/kubelet", f"--hostname-override={NODE}",
                               f"--node-ip={ADDRESS}"])

    def restart_kubelet(self):
        self.daemons["kubelet"].end()
        self.start_kubelet()

    def runs(self):
        return all(daemon.runs() for daemon in self.daemons.values())

    def node(self):
        return self.api.get("/api/v1/nodes/" + NODE)

    def allocatable(self, resource):
        return int(self.node()["status"].get("allocatable", {}).get(resource, 0))

    def wait_allocatable(self, resource, count):
        until(f"{count} of {resource} on the node",
              lambda: self.runs() and self.allocatable(resource) == count,
              state=lambda: json.dumps(self.node()["status"].get("allocatable")))


def lines_of(path):
    """What a container said, of a log in the form of the kubelet's."""
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8", errors="replace") as file:
        return [line.rstrip("\n").split(" ", 3)[3] for line in file if line.count(" ") >= 3]


def sees(lines):
    """Minor numbers of the GPUs that a container with Pod.SCRIPT may open. It has no others, and may open none
    for which it makes a device node itself."""
    seen = {}
    for line in lines:
        if line.startswith("sees ") and "*" not in line:
            path, why = line.removeprefix("sees ").split(": ", 1)
            seen[path] = why
    other = seen.pop("/tmp/other")
    assert "not permitted" in other, f"not kept from others: {other}"
    assert all("No such device" in why for why in seen.values()), f"not allowed: {seen}"
    return sorted(int(path.removeprefix("/dev/nvidia")) for path in seen)


def visible(lines):
    """What NVIDIA_VISIBLE_DEVICES lists in such a container."""
    line = next(line for line in lines if line.startswith("visible"))
    return [one for one in line.removeprefix("visible").strip().split(",") if one]


class Pod:
    """One container that says what it sees and stays until it is told to end."""
    SCRIPT = '''
        mknod /tmp/other c 195 99
        for one in /dev/nvidia[0-9]* /tmp/other; do
          cat $one >/dev/null 2>/tmp/why; read -r why </tmp/why; echo "sees $one: $why"
        done
        echo "visible $NVIDIA_VISIBLE_DEVICES"
        echo said all
        trap "exit 0" TERM
        while :; do sleep 1000 & wait; done'''

    def __init__(self, cluster, name, resources=None, claims=(), templates=(), script=SCRIPT):
        self.cluster, self.name = cluster, name
        container = {"name": "main", "image": cluster.registry.image if cluster.registry else "none",
                     "command": ["sh", "-c", script],
                     "resources": {"limits": {key: str(value) for key, value in (resources or {}).items()}}}
        spec = {"hostNetwork": True, "restartPolicy": "Never", "automountServiceAccountToken": False,
                "enableServiceLinks": False, "terminationGracePeriodSeconds": 10, "containers": [container],
                "tolerations": [{"operator": "Exists"}]}
        claims = [*({"resourceClaimName": claim} for claim in claims),
                  *({"resourceClaimTemplateName": template} for template in templates)]
        if claims:
            container["resources"]["claims"] = [{"name": f"claim-{i}"} for i in range(len(claims))]
            spec["resourceClaims"] = [{"name": f"claim-{i}", **claim} for i, claim in enumerate(claims)]
        self.made = cluster.api.make(DEFAULT + "/pods", {"metadata": {"name": name}, "spec": spec})

    @property
    def path(self):
        return f"{DEFAULT}/pods/{self.name}"

    def get(self):
        return self.cluster.api.get(self.path)

    def phase(self):
        return self.get()["status"]["phase"]

    def why(self):
        """What is known of it, for a failure."""
        status = self.get()["status"]
        events = self.cluster.api.list(DEFAULT + "/events?fieldSelector=involvedObject.name=" + self.name)
        return json.dumps([status, [(event["reason"], event.get("message")) for event in events]])

    def wait(self, phase="Running"):
        def is_so():
            now = self.phase()
            assert now in (phase, "Pending", "Running"), self.why()
            return self.cluster.runs() and now == phase
        until(f"pod {self.name} is {phase}", is_so, state=self.why)
        return self

    def log(self):
        uid = self.made["metadata"]["uid"]
        return lines_of(f"/var/log/pods/default_{self.name}_{uid}/main/0.log")

    def said(self):
        """All lines of a Pod.SCRIPT."""
        self.wait()
        until(f"pod {self.name} speaks", lambda: "said all" in self.log(), state=lambda: f"{self.log()} {self.why()}")
        return self.log()

    def sees(self):
        return sees(self.said())

    def visible(self):
        return visible(self.said())

    def delete(self):
        self.cluster.api.delete(self.path)
        until(f"pod {self.name} has gone", lambda: not self.cluster.api.is_there(self.path), state=self.why)
