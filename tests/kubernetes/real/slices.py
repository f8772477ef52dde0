# SPDX-License-Identifier: Apache-2.0
"""The API server takes our ResourceSlices, and the scheduler, which takes the first device that fits, takes the
best connected GPUs. Without a node: nothing has to run for that."""
import cli
from cases import need
from claims import (GROUP, Claim, is_best, make_classes, make_paper_node, need_group, printed_slices, publish,
                    remove_pod, withdraw)
from cluster import Pod
from programs import CONTROL

PAPER = "paper"
SCHEDULER = [*CONTROL, "kube-scheduler"]


@need(CONTROL)
def slices_of_every_machine_are_valid(cluster):
    cluster.need_control()
    need_group(cluster)
    for machine in cli.BUILT_IN:
        slices = printed_slices(machine, PAPER, "--mig", "mixed")
        assert slices, machine
        publish(cluster.api, slices)
        kept = [one for one in cluster.api.list(GROUP + "/resourceslices") if one["spec"].get("nodeName") == PAPER]
        # A server that has a feature off drops its fields without a word.
        for one in slices:
            same = next(other for other in kept if other["metadata"]["name"] == one["metadata"]["name"])
            assert same["spec"].get("sharedCounters") == one["spec"].get("sharedCounters"), (machine, one["metadata"])
            assert len(same["spec"].get("devices") or []) == len(one["spec"].get("devices") or []), machine
        withdraw(cluster.api, PAPER)


class Paper:
    """A DGX-1 that is only published."""

    def __init__(self, cluster, machine="dgx1-volta"):
        self.cluster, self.machine, self.claims = cluster, machine, []

    def __enter__(self):
        self.cluster.need_scheduler()
        need_group(self.cluster)
        make_classes(self.cluster)
        make_paper_node(self.cluster, PAPER)
        publish(self.cluster.api, printed_slices(self.machine, PAPER))
        return self

    def __exit__(self, *_):
        for claim in list(self.claims):
            self.release(claim)
        withdraw(self.cluster.api, PAPER)
        self.cluster.api.delete("/api/v1/nodes/" + PAPER)

    def claim(self, name, count, **request):
        """A claim for so many GPUs and a pod that wants it; what it got."""
        claim = Claim(self.cluster, name, f"gpu-set-{count}" if count > 1 else "gpu", **request)
        self.claims.append(claim)
        pod = Pod(self.cluster, name, claims=[name])
        return claim, claim.indices(pod.why)

    def release(self, claim):
        self.claims.remove(claim)
        remove_pod(self.cluster.api, claim.name)
        claim.release()


@need(SCHEDULER)
def the_scheduler_takes_the_best_set_of_each_size(cluster):
    with Paper(cluster) as paper:
        for count in (1, 2, 3, 4, 5, 6, 8):
            claim, got = paper.claim(f"wants-{count}", count)
            assert len(got) == count and is_best(paper.machine, got, []), (count, got)
            paper.release(claim)


@need(SCHEDULER)
def sets_do_not_overlap_and_the_next_is_the_best_of_what_is_left(cluster):
    with Paper(cluster) as paper:
        taken = []
        for count in (1, 4, 2):
            _, got = paper.claim(f"next-{count}", count)
            assert not set(got) & set(taken), (got, taken)
            assert is_best(paper.machine, got, taken), (got, taken)
            taken += got


@need(SCHEDULER)
def four_pairs_of_which_each_one_is_halved_leave_whole_pairs(cluster):
    """Four pods of one GPU, then two of two: each gets a pair of NVLinks where one is left."""
    with Paper(cluster) as paper:
        taken = []
        for i in range(4):
            taken += paper.claim(f"one-{i}", 1)[1]
        for i in range(2):
            _, got = paper.claim(f"two-{i}", 2)
            assert is_best(paper.machine, got, taken), (got, taken)
            taken += got
