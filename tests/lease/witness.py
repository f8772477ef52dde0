# SPDX-License-Identifier: Apache-2.0
"""Judges what the witness of chaos.c was told. Knows nothing of gpualloc but the machine's file: who
had what from when to when, and whether two had the same at once."""
import bisect
import collections
import json


class Machine:
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            devices = json.load(file)["devices"]
        self.room, self.family = {}, {}
        for gpu in devices:
            self.add(gpu, gpu["uuid"])
            for instance in gpu.get("mig", []):
                self.add(instance, gpu["uuid"])

    def add(self, device, gpu):
        memory = device["memory"]
        self.room[device["uuid"]] = memory["total"] - memory.get("reserved", 0)
        self.family[device["uuid"]] = gpu

    def touch(self, one, other):
        """The same device, or an instance and the GPU it is of."""
        return one == other or (self.family[one] == self.family[other] and
                                (one == self.family[one] or other == self.family[other]))


class Lease:
    """memory is -1 where it holds its devices whole."""
    def __init__(self, name, begin, start, waited, memory, devices):
        self.name, self.begin, self.start, self.waited = name, begin, start, waited
        self.memory, self.devices = memory, devices
        self.ends, self.kills, self.inherited, self.end = [], [], [], None

    def finish(self):
        """It lasts until the last of its processes ends. A first process that told its own end
        did not need to be killed for it."""
        main = self.ends[:1] if self.ends else [min(self.kills)] if self.kills else []
        self.end = max(main + self.inherited) if main else None


class Witness:
    def __init__(self, path):
        self.leases, self.wrong, self.notes = {}, [], collections.Counter()
        self.refusals, self.stopped, self.queue_ends = 0, set(), []
        later = []
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                self.read(line.split(), later)
        self.attach(later)

    def read(self, words, later):
        # What was killed while it wrote has told a part of a line: nothing.
        if len(words) < 4 or (words[0] == "B" and len(words) != 7):
            return
        what, name, time = words[0], int(words[1]), int(words[2])
        if what == "B":
            self.leases[name] = Lease(name, time, int(words[3]), words[4] == "1", int(words[5]),
                                      words[6].split(","))
        elif what in "EGK":
            later.append((what, name, time))
        elif what == "S":
            self.stopped.add(name)
        elif what == "R":
            self.refusals += 1
            self.queue_ends.append(time)
        elif what == "N":
            self.notes[" ".join(words[3:])] += 1
        else:
            self.wrong.append(" ".join(words))

    def attach(self, later):
        for what, name, time in later:
            lease = self.leases.get(name)
            if lease is None:
                self.queue_ends.append(time)
            elif what == "G":
                lease.inherited.append(time)
            else:
                (lease.ends if what == "E" else lease.kills).append(time)
        for lease in self.leases.values():
            lease.finish()
            if lease.end is None:
                self.wrong.append(f"lease {lease.name} has no end: its process vanished")
        self.queue_ends.sort()


def conflict(machine, lease, present):
    """Why a lease cannot begin while those present last; None where it can."""
    for device in lease.devices:
        near = [other for other in present if any(machine.touch(device, one)
                                                  for one in other.devices)]
        for other in near:
            if lease.memory < 0 or other.memory < 0 or device not in other.devices:
                return f"lease {lease.name} on {device} while lease {other.name} has it"
        if lease.memory + sum(other.memory for other in near) > machine.room[device]:
            return f"lease {lease.name} on {device} beyond its memory"
    return None


def overlaps(machine, leases):
    """All moments in which two had what only one may have."""
    events = []
    for lease in leases:
        if lease.end is not None and lease.end > lease.begin:
            # An end comes before a beginning at the same nanosecond.
            events += [(lease.end, 0, lease.name, lease), (lease.begin, 1, lease.name, lease)]
    events.sort(key=lambda event: event[:3])
    present, found = {}, []
    for _, begins, name, lease in events:
        if not begins:
            present.pop(name, None)
            continue
        why = conflict(machine, lease, present.values())
        if why:
            found.append(why)
        present[name] = lease
    return found


def wake_ups(witness):
    """How long a waiter slept on after a holder's death, where that was what it waited for: not
    before the last queue change or earlier waiter's grant. Nanoseconds."""
    result, last_end, recent = [], {}, collections.deque(maxlen=256)
    order = sorted((lease for lease in witness.leases.values() if lease.end), key=lambda l: l.begin)
    ends = sorted(order, key=lambda lease: lease.end)
    next_end = 0
    for lease in order:
        while ends[next_end].end <= lease.begin and ends[next_end] is not lease:
            for device in ends[next_end].devices:
                last_end[device] = ends[next_end]
            next_end += 1
        before = max((last_end[device] for device in lease.devices if device in last_end),
                     key=lambda other: other.end, default=None)
        if before and before.kills and not before.ends and lease.waited and \
                lease.name not in witness.stopped and before.end > lease.start:
            place = bisect.bisect(witness.queue_ends, lease.begin)
            causes = [before.end, *witness.queue_ends[max(0, place - 1):place]]
            causes += [begin for begin, start in recent if start < lease.start]
            result.append(lease.begin - max(causes))
        recent.append((lease.begin, lease.start))
    return result
