# SPDX-License-Identifier: Apache-2.0
"""Judges what the witness of chaos.c recorded: who had what from when to when, and whether two had the same
at once. Of gpualloc it knows only what the machine is made of. If a name appears in several variants of the
machine, the truth is its GPU, its place there and the most memory that any of them gives it."""
import bisect
import collections


MIB = 1 << 20


class Machine:
    """variants are parsed machine files; all of them give their instances' places."""

    def __init__(self, variants):
        self.room, self.gpu, self.place, names = {}, {}, {}, []
        for machine in variants:
            names.append(set())
            for gpu in machine["devices"]:
                self.add(gpu, gpu, names[-1])
                for instance in gpu.get("mig", []):
                    self.add(instance, gpu, names[-1])
        self.steady = set.intersection(*names)
        changing = {self.gpu[name] for name in set.union(*names) - self.steady}
        self.steady = {name for name in self.steady if self.gpu[name] not in changing}

    def add(self, device, gpu, names):
        name = device["uuid"]
        names.add(name)
        memory = device["memory"]
        self.room[name] = max(self.room.get(name, 0), memory["total"] - memory.get("reserved", 0))
        self.gpu[name] = gpu["uuid"]
        self.place[name] = None if device is gpu else (device["gi"], device["ci"])

    def touch(self, one, other):
        """The same device, or an instance and its GPU."""
        return self.gpu[one] == self.gpu[other] and \
            (one == other or None in (self.place[one], self.place[other]) or
             self.place[one] == self.place[other])


class Lease:
    """memory is -1 if it holds its devices whole; within is the name of the lease around it."""

    def __init__(self, name, begin, start, waited, memory, within, devices):
        self.name, self.begin, self.start, self.waited = name, begin, start, waited
        self.memory, self.within, self.devices = memory, within, devices
        self.ends, self.kills, self.inherited, self.end = [], [], [], None
        self.outer = None  # the lease it is in, once all are known

    def first_end(self):
        """Of its first process. One that reported its own end did not have to be killed."""
        return self.ends[0] if self.ends else min(self.kills, default=None)

    def finish(self):
        """It lasts until the last of its processes ends."""
        first = self.first_end()
        self.end = None if first is None else max([first, *self.inherited])

    def is_in(self, other):
        return self.outer is not None and (self.outer is other or self.outer.is_in(other))


class Witness:
    def __init__(self, path):
        self.leases, self.wrong, self.notes = {}, [], collections.Counter()
        self.refusals, self.stopped, self.queue_ends, self.apart = 0, set(), [], set()
        later = []
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                self.read(line.split(), later)
        self.attach(later)
        self.nest()
        for lease in self.leases.values():
            if lease.end is None:
                self.wrong.append(f"lease {lease.name} has no end: its process vanished")
        self.queue_ends.sort()

    def read(self, words, later):
        # A process killed while writing leaves part of a line, which does not count.
        if len(words) < 4 or words.pop() != ".":
            return
        what, name, time = words[0], int(words[1]), int(words[2])
        if what == "B":
            self.leases[name] = Lease(name, time, int(words[3]), words[4] == "1", int(words[5]),
                                      int(words[6]), words[7].split(","))
        elif what in "EGK":
            later.append((what, name, time))
        elif what == "S":
            self.stopped.add(name)
        elif what == "P":
            self.apart.add(name)
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

    def nest(self):
        for lease in self.leases.values():
            if not lease.within:
                continue
            lease.outer = outer = self.leases.get(lease.within)
            if outer is None:
                self.wrong.append(f"lease {lease.name} is in one that nobody was granted")
            elif not set(lease.devices) <= set(outer.devices):
                self.wrong.append(f"lease {lease.name} has what its outer lease has not")
            elif lease.end is None and outer.name in self.apart:
                # The kernel killed it when the first process of its namespace was gone.
                lease.end = outer.first_end()


def on(machine, device, leases):
    return [lease for lease in leases if any(machine.touch(device, one) for one in lease.devices)]


def used(leases):
    """Memory of those not inside another of them: inner leases are part of that."""
    return sum(lease.memory for lease in leases
               if lease.memory > 0 and not any(lease.is_in(other) for other in leases))


def too_much(machine, lease, near, device):
    """Whether the budgets there exceed what there is: of the device, or of the lease around them."""
    if used([lease, *near]) > machine.room[device]:
        return True
    outer = lease.outer
    while outer is not None:
        inner = [other for other in [lease, *near] if other.is_in(outer)]
        # A budget is of whole MiB, so those inside may use up the last one.
        if outer.memory >= 0 and used(inner) > -(-outer.memory // MIB) * MIB:
            return True
        outer = outer.outer
    return False


def conflict(machine, lease, present):
    """Why a lease cannot begin during the present ones; None if it can."""
    for device in lease.devices:
        near = on(machine, device, present)
        for other in near:
            if not lease.is_in(other) and \
                    (lease.memory < 0 or other.memory < 0 or device not in other.devices):
                return f"lease {lease.name} on {device} while lease {other.name} has it"
        if lease.memory >= 0 and too_much(machine, lease, near, device):
            return f"lease {lease.name} on {device} beyond its memory"
    return None


def overlaps(machine, leases):
    """All moments at which two had what only one may have."""
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


def was_killed(lease):
    return bool(lease.kills) and not lease.ends


def wake_ups(machine, witness):
    """How long a waiter went on sleeping after the death of the holder it waited for, counted from the last
    queue change or earlier waiter's grant at the earliest, and not while a GPU came back out of MIG mode.
    Nanoseconds."""
    result, last_end, recent = [], {}, collections.deque(maxlen=256)
    order = sorted((lease for lease in witness.leases.values() if lease.end), key=lambda l: l.begin)
    ends = sorted(order, key=lambda lease: lease.end)
    next_end = 0
    for lease in order:
        while ends[next_end].end <= lease.begin and ends[next_end] is not lease:
            # A process that does not know places takes a whole GPU for an instance.
            for device in ends[next_end].devices:
                last_end[machine.gpu[device]] = ends[next_end]
            next_end += 1
        before = max((last_end[machine.gpu[device]] for device in lease.devices
                      if machine.gpu[device] in last_end), key=lambda other: other.end, default=None)
        if before and was_killed(before) and lease.waited and not lease.within and \
                machine.steady.issuperset(lease.devices) and \
                lease.name not in witness.stopped and before.end > lease.start:
            place = bisect.bisect(witness.queue_ends, lease.begin)
            causes = [before.end, *witness.queue_ends[max(0, place - 1):place]]
            causes += [begin for begin, start in recent if start < lease.start]
            result.append(lease.begin - max(causes))
        recent.append((lease.begin, lease.start))
    return result
