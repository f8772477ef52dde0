#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Processes that do what a test tells them, one thing after the other, so that the test decides who opens
what and when. A puppet is a fork of the test's process, or of another puppet, or a program that somebody
started as `puppet.py ADDRESS`. The strings are a socket; each word that is pulled is answered, by a value
or by the number of an error.

Nothing but the standard library's smallest parts is imported: it starts hundreds of times."""
import array
import ctypes
import fcntl
import json
import os
import select
import signal
import socket
import struct
import sys
import threading
import time

SETLK = 37  # F_OFD_SETLK
CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID = 0x20000, 0x10000000, 0x20000000
SYS_PIDFD_OPEN, SYS_PIDFD_GETFD = 434, 438
PYTHON = "/usr/bin/python3"
PATIENCE = 120


def libc(function, *arguments):
    call = getattr(ctypes.CDLL(None, use_errno=True), function)
    result = call(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), function)
    return result


class Loop(threading.Thread):
    """Opens a node again and again, and counts what comes of it."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path, self.counts, self.ends = path, {}, False
        self.start()

    def run(self):
        while not self.ends:
            result = try_to_open(self.path)
            self.counts[result] = self.counts.get(result, 0) + 1
            time.sleep(0.01)  # what is measured is not the processor


def try_to_open(path, flags=os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY):
    try:
        os.close(os.open(path, flags))
    except OSError as error:
        return error.errno
    return 0


def lock(fd, start, length, kind=fcntl.F_WRLCK):
    fcntl.fcntl(fd, SETLK, struct.pack("hhqqiq", kind, 0, start, length, 0, 0))


class Hands:
    """What a puppet can be told."""

    def __init__(self, address):
        self.address = address
        self.loops, self.sockets, self.places = {}, {}, {}

    # ---- files ----

    def look(self, *paths):
        return [try_to_open(path) for path in paths]

    def keep(self, path, flags=os.O_RDWR):
        return os.open(path, flags)

    def close(self, *fds):
        for fd in fds:
            os.close(fd)

    def fill(self, times):
        """Its table of descriptors."""
        fd = os.open("/dev/null", os.O_RDWR)
        for _ in range(times):
            os.dup(fd)

    def lock(self, fd, start, length, kind=fcntl.F_WRLCK):
        lock(fd, start, length, kind)

    def loop(self, path):
        self.loops[path] = Loop(path)

    def stop(self, path):
        loop = self.loops.pop(path)
        loop.ends = True
        loop.join()
        return loop.counts

    def count(self, path):
        return sum(self.loops[path].counts.values())

    # ---- handing on ----

    def listen(self, name):
        self.sockets[name] = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sockets[name].bind("\0" + name)
        self.sockets[name].listen()

    def accept(self, name):
        self.sockets[name] = self.sockets[name].accept()[0]

    def connect(self, name):
        self.sockets[name] = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sockets[name].connect("\0" + name)

    def send(self, name, fd):
        data = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
        self.sockets[name].sendmsg([b"x"], data)

    def receive(self, name):
        """The descriptors that were delivered."""
        _, data, _, _ = self.sockets[name].recvmsg(1, socket.CMSG_SPACE(64))
        found = array.array("i")
        for _, _, part in data:
            found.frombytes(part)
        return list(found)

    def take(self, pid, fd):
        """By pidfd_getfd(2)."""
        pidfd = libc("syscall", SYS_PIDFD_OPEN, pid, 0)
        try:
            return libc("syscall", SYS_PIDFD_GETFD, pidfd, fd, 0)
        finally:
            os.close(pidfd)

    # ---- leases by the library ----

    def library(self):
        library = ctypes.CDLL(os.environ["LIBGPUALLOC"])
        library.gpualloc_request_new.restype = ctypes.c_void_p
        library.gpualloc_lease_wish_new.restype = ctypes.c_void_p
        return library

    def place(self):
        """The descriptor of a lease that somebody will acquire."""
        library, store, fd = self.library(), ctypes.c_void_p(), ctypes.c_int()
        self.must(library.gpualloc_store_open(None, 0, ctypes.byref(store), None))
        self.must(library.gpualloc_store_place(store, ctypes.byref(fd), None))
        return fd.value

    def acquire(self, fd, machine, count):
        """On that place; the lease object is never freed."""
        library, store, lease = self.library(), ctypes.c_void_p(), ctypes.c_void_p()
        request = ctypes.c_void_p(library.gpualloc_request_new())
        wish = ctypes.c_void_p(library.gpualloc_lease_wish_new())
        self.must(library.gpualloc_store_open(None, 0, ctypes.byref(store), None))
        library.gpualloc_request_set_count(request, ctypes.c_int64(count))
        self.must(library.gpualloc_lease_wish_set_machine(wish, machine.encode(), 10000))
        library.gpualloc_lease_wish_set_place(wish, fd)
        self.must(library.gpualloc_lease_acquire(store, request, wish, ctypes.byref(lease), None))
        library.gpualloc_lease_device.restype = ctypes.c_void_p
        library.gpualloc_device_minor.restype = ctypes.c_int64
        return [library.gpualloc_device_minor(ctypes.c_void_p(library.gpualloc_lease_device(lease, i)))
                for i in range(count)]

    @staticmethod
    def must(result):
        if result < 0:
            raise OSError(-result, "the library said no")

    # ---- who it is ----

    def become(self, uid, gid, groups):
        os.setgroups(groups)
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
        # Otherwise nobody of the same user may look into it, and it has no map of its own.
        libc("prctl", 4, 1, 0, 0, 0)

    def effective_group(self, gid):
        os.setresgid(-1, gid, -1)

    def own_users(self, uid, gid):
        """A user namespace in which it is root, and mounts of its own; outside it stays who it was."""
        libc("unshare", CLONE_NEWUSER | CLONE_NEWNS)
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            with open("/proc/self/" + name, "w", encoding="ascii") as file:
                file.write(text)

    def bind(self, path, at):
        with open(at, "w", encoding="ascii"):
            pass
        libc("mount", path.encode(), at.encode(), None, 4096, None)

    def enter_cgroup(self, path):
        with open(path + "/cgroup.procs", "w", encoding="ascii") as file:
            file.write("0")

    def setsid(self):
        return os.setsid()

    def variable(self, name):
        return os.environ.get(name)

    # ---- others ----

    def fork(self):
        pid = os.fork()
        if pid == 0:
            obey(self.address)
        return pid

    def thread(self):
        threading.Thread(target=obey, args=(self.address, False), daemon=True).start()

    def execute(self):
        os.execv(PYTHON, [PYTHON, "-IS", os.path.abspath(__file__), self.address])

    def start(self, *words):
        """With everything that it has open, as a shell does."""
        pid = os.fork()
        if pid == 0:
            try:
                os.execvp(words[0], words)
            finally:
                os._exit(127)
        return pid

    def wait(self, pid):
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def obey(address, is_process=True):
    """Until the string is cut."""
    string = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    string.connect("\0" + address)
    string.send(json.dumps([os.getpid(), threading.get_native_id()]).encode())
    hands = Hands(address)
    while pulled := string.recv(1 << 16):
        name, words = json.loads(pulled)
        try:
            answer = [getattr(hands, name)(*words), 0, ""]
        except OSError as error:
            answer = [None, error.errno or 1, str(error)]
        string.send(json.dumps(answer).encode())
    if is_process:
        os._exit(0)


class Refused(Exception):
    def __init__(self, number, text):
        super().__init__(text)
        self.number = number


class Stage:
    """Where puppets come on."""

    def __init__(self):
        self.address = f"gpualloc-puppets-{os.getpid()}"
        self.door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.door.bind("\0" + self.address)
        self.door.listen(64)
        self.door.settimeout(PATIENCE)
        self.puppets = []
        libc("prctl", 36, 1, 0, 0, 0)  # orphans become the test's own

    def words(self):
        """The program that becomes a puppet."""
        return [PYTHON, "-IS", os.path.abspath(__file__), self.address]

    def next(self):
        """Who comes on."""
        string = self.door.accept()[0]
        string.settimeout(PATIENCE)
        puppet = Puppet(self, string, *json.loads(string.recv(1 << 16)))
        self.puppets.append(puppet)
        return puppet

    def new(self, uid=0, gid=None, groups=()):
        """A fork of the test's own process, of that user."""
        if os.fork() == 0:
            # Whose strings are in more hands than one are not cut when one lets go.
            self.door.close()
            for puppet in self.puppets:
                puppet.string.close()
            obey(self.address)
        puppet = self.next()
        if uid or groups or gid:
            puppet.become(uid, uid if gid is None else gid, list(groups))
        return puppet

    def clear(self):
        """Everybody ends, and has ended."""
        for puppet in self.puppets:
            puppet.string.close()
            try:
                os.kill(puppet.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.puppets = []
        while True:
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                return


class Puppet:
    def __init__(self, stage, string, pid, tid):
        self.stage, self.string, self.pid, self.tid = stage, string, pid, tid

    def tell(self, name, *words):
        self.string.send(json.dumps([name, words]).encode())

    def hear(self):
        text = self.string.recv(1 << 16)
        if not text:
            raise EOFError(f"puppet {self.pid} has left")
        value, number, message = json.loads(text)
        if number:
            raise Refused(number, message)
        return value

    def __getattr__(self, name):
        if not hasattr(Hands, name):
            raise AttributeError(name)

        def pull(*words):
            self.tell(name, *words)
            return self.hear()
        return pull

    def child(self):
        """Its fork."""
        self.tell("fork")
        puppet = self.stage.next()
        self.hear()
        return puppet

    def second_thread(self):
        self.tell("thread")
        puppet = self.stage.next()
        self.hear()
        return puppet

    def reborn(self):
        """What it is after exec."""
        self.tell("execute")
        puppet = self.stage.next()
        self.string.close()
        return puppet

    def starts(self, *words):
        """A program of its own that ends in a puppet: `gpualloc run` for example."""
        self.tell("start", *words, *self.stage.words())
        puppet = self.stage.next()
        self.hear()
        return puppet

    def kill(self):
        """It has ended, and all that it had open is closed."""
        pidfd = os.pidfd_open(self.pid)
        os.kill(self.pid, signal.SIGKILL)
        readable(pidfd)
        os.close(pidfd)

    def leave(self):
        """As it wants: its string is cut, and it exits."""
        pidfd = os.pidfd_open(self.pid)
        self.string.close()
        readable(pidfd)
        os.close(pidfd)


def readable(pidfd):
    if not select.select([pidfd], [], [], PATIENCE)[0]:
        raise AssertionError("it does not end")


if __name__ == "__main__":
    obey(sys.argv[1])
