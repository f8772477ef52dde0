# SPDX-License-Identifier: Apache-2.0
"""Pods get GPUs by dynamic resource allocation: published, allocated by the scheduler, prepared for the kubelet, put
into the container by CDI."""
import glob
import signal
import time

import cli
from agent import STORE, Agent, Machine
from api import Refused, until
from cases import ROUNDS, need
from claims import GROUP, Claim, indices, is_best, is_pair, make_classes, need_group, printed_slices, request
from cluster import KUBELET, Pod
from manifests import install
from place import NODE, make_gpus
from programs import CONTROL
from programs import NODE as PROGRAMS

ALL = [*CONTROL, "kube-scheduler", *PROGRAMS]
CDI = "/run/cdi"
ACCOUNT = "gpualloc-k8s-dra"  # of the manifests


class Site:
    """What the cases share: a node with a machine and an agent."""

    def __init__(self, cluster):
        self.cluster = cluster
        cluster.need_node()
        make_gpus(8)
        install(cluster)
        make_classes(cluster)
        self.machine = Machine(cluster.where)
        cli.ok("setup", env={"GPUALLOC_STATE_DIR": STORE})
        self.token = self.make_token()
        self.kubeconfig = cluster.keys.write_kubeconfig("agent", {"token": self.token})
        self.agent = self.start()

    def make_token(self):
        """As the DaemonSet's pod on this node has it: it says which pod and which node it is of."""
        place = "/api/v1/namespaces/kube-system"
        pod = self.cluster.api.make(place + "/pods", {
            "metadata": {"name": "stands-for-the-agent"},
            "spec": {"serviceAccountName": ACCOUNT, "automountServiceAccountToken": False, "nodeName": NODE,
                     "hostNetwork": True, "tolerations": [{"operator": "Exists"}],
                     "containers": [{"name": "main", "image": self.cluster.registry.image}]}})
        return self.token_for({"boundObjectRef": {
            "apiVersion": "v1", "kind": "Pod", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}})

    def token_for(self, spec):
        return self.cluster.api.make(f"/api/v1/namespaces/kube-system/serviceaccounts/{ACCOUNT}/token", {
            "spec": {"audiences": ["https://kubernetes.default.svc"], **spec}})["status"]["token"]

    def start(self):
        return Agent(self.cluster, self.machine, "--api", "dra", "--node", NODE, "--kubelet-root", KUBELET,
                     "--cdi-dir", CDI, "--kubeconfig", self.kubeconfig, name="gpualloc-k8s-dra")

    def restart(self, number=signal.SIGTERM):
        self.agent.end(number)
        self.agent = self.start()

    def slices(self):
        return [one["spec"] for one in self.cluster.api.list(GROUP + "/resourceslices")
                if one["spec"].get("nodeName") == NODE]

    def devices(self):
        return [device for one in self.slices() for device in one.get("devices") or []]

    def wait_published(self, what, condition):
        until(what, lambda: self.agent.runs() and condition(self.devices()), state=self.agent.end_of_log)

    def wait_whole(self):
        """Published, each slice of the pool, and nothing is tainted."""
        self.wait_published("all GPUs are published", lambda devices: len(
            [one for one in devices if one["name"].startswith("gpu-") and not one.get("taints")]) == 8 and
            {one["pool"]["resourceSliceCount"] for one in self.slices()} == {len(self.slices())})

    def wait_tainted(self, gpus):
        """Slices are written one after the other, and until then the scheduler may take a set."""
        self.wait_published(f"every set with one of {gpus} is tainted", lambda devices: devices and all(
            one.get("taints") for one in devices if gpus & set(indices([one["name"]]))))

    def claim(self, name, count):
        claim = Claim(self.cluster, name, f"gpu-set-{count}" if count > 1 else "gpu")
        return claim, Pod(self.cluster, name, claims=[name])

    def files(self):
        return glob.glob(CDI + "/*")

    def wait_nothing(self):
        """Neither leases nor files."""
        self.machine.wait_leases([])
        until("no CDI file is left", lambda: not self.files(), state=lambda: str(self.files()))


def site(cluster):
    cluster.programs.need_cdi()
    cluster.need_control()
    need_group(cluster)
    cluster.once("the agent of DRA", lambda: setattr(cluster, "dra_site", Site(cluster)))
    if cluster.dra_site.agent.process.poll() is not None:  # a case failed that had ended it
        cluster.dra_site.agent = cluster.dra_site.start()
    return cluster.dra_site


@need(ALL)
def the_agent_publishes_its_node_with_the_rights_of_the_manifests(cluster):
    site(cluster).wait_whole()


@need(ALL)
def these_rights_are_not_enough_for_anything_else(cluster):
    here = site(cluster)
    agent, nowhere = cluster.api.of(here.token), cluster.api.of(here.token_for({}))

    def refuses(*words, who=agent):
        try:
            who.ask(*words)
        except Refused as refused:
            assert refused.code in (403, 422), refused
            return refused.message
        return None
    for path in ("/api/v1/secrets", "/api/v1/namespaces/kube-system/pods", GROUP + "/resourceclaims"):
        assert refuses("GET", path), path
    theirs = printed_slices("rtx8000x4", "another-node")[0]
    until("slices of another node are refused",
          lambda: refuses("POST", GROUP + "/resourceslices?dryRun=All", theirs))
    message = refuses("POST", GROUP + "/resourceslices?dryRun=All", theirs, who=nowhere)
    assert "which node" in message, message


@need(ALL)
def pods_with_claims_get_the_best_set_and_see_nothing_else(cluster):
    here = site(cluster)
    here.wait_whole()
    taken, made = [], []
    for count in (6, 2):
        claim, pod = here.claim(f"claims-{count}", count)
        made.append((claim, pod))
        seen = pod.sees()
        assert seen == indices(claim.results()), (seen, claim.results())
        assert is_best(here.machine.path, seen, taken), (seen, taken)
        taken += seen
        assert sorted(here.machine.leases()) == sorted(taken), (here.machine.leases(), taken)
    refused = here.machine.command("run", "-n", "1", "true")
    assert refused.returncode == 75, refused
    for claim, pod in made:
        pod.delete()
        claim.release()
    here.wait_nothing()


def spread(seconds):
    seconds = sorted(seconds)
    return f"{seconds[len(seconds) // 2] * 1000:.0f} (at most {seconds[-1] * 1000:.0f}) ms"


def prepare_calls(cluster):
    """(seconds in all, how many) of NodePrepareResources, as the kubelet counts them."""
    lines = cluster.api.ask("GET", f"/api/v1/nodes/{NODE}/proxy/metrics").splitlines()
    return [sum(float(line.rsplit(" ", 1)[1]) for line in lines if "/NodePrepareResources" in line and
                line.startswith("dra_grpc_operations_duration_seconds_" + kind)) for kind in ("sum", "count")]


class Way:
    """From making a claim and its pod to what is seen of it: allocated, prepared, running."""

    def __init__(self):
        self.taken = {"allocated": [], "prepared": [], "running": []}

    def measure(self, here, name, count):
        files, start = len(here.files()), time.monotonic()
        claim, pod = here.claim(name, count)
        for step, is_there in (("allocated", claim.results), ("prepared", lambda: len(here.files()) > files),
                               ("running", lambda: "said all" in pod.log())):
            until(f"{name} is {step}", is_there, state=pod.why, pause=0.002)
            self.taken[step].append(time.monotonic() - start)
        return claim, pod


@need(ALL)
def four_claims_of_one_gpu_leave_whole_pairs_to_two_others(cluster):
    here = site(cluster)
    pairs, way, before = 0, Way(), prepare_calls(cluster)
    for _ in range(ROUNDS):
        here.wait_whole()
        made = [way.measure(here, f"one-{i}", 1) for i in range(4)]
        for i in range(2):
            made.append(way.measure(here, f"two-{i}", 2))
            pairs += is_pair(here.machine.path, made[-1][1].sees())
        for claim, pod in made:
            pod.delete()
            claim.release()
        here.wait_nothing()
    seconds, calls = (after - was for after, was in zip(prepare_calls(cluster), before))
    print(f"# claims that got a pair: {pairs} of {2 * ROUNDS}")
    for step, taken in way.taken.items():
        print(f"# from the claim and its pod to {step}: {spread(taken)}")
    print(f"# the kubelet's call to prepare it: {seconds / calls * 1000:.1f} ms on average of {calls:.0f}")
    print(f"# the agent takes {here.agent.memory()}")
    assert pairs == 2 * ROUNDS


@need([*ALL, "kube-controller-manager"])
def claims_of_a_template_come_and_go_with_their_pods(cluster):
    here = site(cluster)
    here.wait_whole()
    place = GROUP + "/namespaces/default/resourceclaim"
    cluster.api.make(place + "templates", {"metadata": {"name": "pair"}, "spec": {"spec": request("gpu-set-2")}})
    ends = Pod(cluster, "ends", templates=["pair"], script="echo said all").wait("Succeeded")
    here.wait_nothing()
    stays = [Pod(cluster, f"stays-{i}", templates=["pair"]) for i in range(4)]
    for pod in stays:
        assert is_pair(here.machine.path, pod.sees()), pod.log()
    assert sorted(index for pod in stays for index in pod.sees()) == list(range(8))
    assert sorted(here.machine.leases()) == list(range(8))
    for pod in (ends, *stays):
        pod.delete()
    until("the claims have gone", lambda: not cluster.api.list(place + "s"))
    cluster.api.delete(place + "templates/pair")
    here.wait_nothing()


@need(ALL)
def a_claim_outlives_a_crash_of_the_agent(cluster):
    here = site(cluster)
    here.wait_whole()
    claim, pod = here.claim("survives", 3)
    has = pod.sees()
    here.restart(signal.SIGKILL)
    here.machine.wait_leases(has)
    assert pod.phase() == "Running", pod.why()
    pod.delete()
    claim.release()
    here.wait_nothing()


@need(ALL)
def a_pod_that_goes_while_the_agent_is_down_leaves_nothing(cluster):
    here = site(cluster)
    here.wait_whole()
    claim, pod = here.claim("goes", 2)
    pod.sees()
    here.agent.end(signal.SIGKILL)
    cluster.api.ask("DELETE", pod.path)
    here.agent = here.start()
    until("the pod has gone", lambda: not cluster.api.is_there(pod.path))
    claim.release()
    here.wait_nothing()


@need(ALL)
def a_kubelet_that_starts_again_keeps_what_is_prepared(cluster):
    here = site(cluster)
    here.wait_whole()
    claim, pod = here.claim("stays", 2)
    has = pod.sees()
    cluster.restart_kubelet()
    other, second = here.claim("comes", 2)
    assert not set(second.sees()) & set(has)
    for one in (pod, second):
        one.delete()
    for one in (claim, other):
        one.release()
    here.wait_nothing()


@need(ALL)
def a_lost_gpu_is_tainted_and_not_given_out(cluster):
    here = site(cluster)
    here.wait_whole()
    here.machine.set_health(0, "lost")
    here.wait_tainted({0})
    claim, pod = here.claim("well", 4)
    seen = pod.sees()
    assert 0 not in seen and is_best(here.machine.path, seen, [0]), seen
    pod.delete()
    claim.release()
    here.machine.set_health(0, "ok")
    here.wait_whole()
    here.wait_nothing()


@need(ALL)
def a_pods_status_says_how_its_gpus_are(cluster):
    """As Kubernetes from 1.36 on has it."""
    here = site(cluster)
    here.wait_whole()
    claim, pod = here.claim("watched", 2)
    has = pod.sees()

    def health():
        return [one["health"] for status in pod.get()["status"]["containerStatuses"]
                for claims in status.get("allocatedResourcesStatus", []) for one in claims["resources"]]
    for lost, wanted in ((None, "Healthy"), ("lost", "Unhealthy"), ("ok", "Healthy")):
        if lost:
            here.machine.set_health(has[0], lost)
        until(f"its devices are {wanted}", lambda wanted=wanted: health() == [wanted], state=pod.why)
    pod.delete()
    claim.release()
    here.wait_whole()
    here.wait_nothing()


@need(ALL)
def what_a_person_has_is_not_given_to_claims(cluster):
    here = site(cluster)
    here.wait_whole()
    person = here.machine.hold("-n", "6")
    try:
        theirs = set(here.machine.leases())
        here.wait_tainted(theirs)
        claim, pod = here.claim("beside", 2)
        assert not set(pod.sees()) & theirs
        pod.delete()
        claim.release()
    finally:
        person.communicate()
    here.wait_whole()
    here.wait_nothing()


@need(ALL)
def the_agent_of_dra_ends_and_leaves_nothing(cluster):
    here = site(cluster)
    here.wait_nothing()
    here.agent.leave()
