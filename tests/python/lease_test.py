#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Leases in Python: for a block, for an object's life, for a command; and however the interpreter,
its threads and its children end."""
import contextlib
import json
import os
import select
import signal
import subprocess
import sys

from cli import case, main, ok
from package import PATIENCE, Program, folder, printed, python, surroundings

MACHINE = "dgx1-volta"
START = f'''
import gpualloc, os, sys
machine = "{MACHINE}"
'''
HOLD = START + '''
with gpualloc.lease(2, machine=machine) as gpus:
    print(gpus.id, flush=True)
    sys.stdin.readline()
print("out", flush=True)
sys.stdin.readline()
'''


class Store:
    def __init__(self):
        self.env = {"GPUALLOC_STATE_DIR": os.path.join(folder(), "store")}

    def leases(self):
        return json.loads(ok("leases", "--json", env=self.env))

    def ids(self):
        return [lease["id"] for lease in self.leases()["leases"]]

    def until_waiting(self, pid, waiting=True):
        """Until that process is seen in the queue, or not any more."""
        while (pid in [one["pid"] for one in self.leases()["waiting"]]) != waiting:
            pass

    def program(self, script, *words, **options):
        return Program(START + script, *words, env=self.env, **options)

    def printed(self, script, *words):
        return printed(START + script, *words, env=self.env)


@contextlib.contextmanager
def holder(store, count=8):
    """A program that holds so many GPUs until the block ends."""
    with store.program('''
with gpualloc.lease(int(sys.argv[1]), machine=machine) as gpus:
    print(gpus.id, flush=True)
    sys.stdin.read()
''', str(count)) as program:
        program.line()
        yield program


# ---- the block and the object ----

@case
def the_block_holds_and_lets_go():
    store = Store()
    with Program(HOLD, env=store.env) as program:
        held = program.line()
        shown = store.leases()["leases"]
        assert [one["id"] for one in shown] == [held] and shown[0]["pid"] == program.process.pid
        program.say()
        assert program.line() == "out" and store.ids() == []


@case
def an_exception_in_the_block_passes_and_ends_it():
    store = Store()
    done = python(START + '''
with gpualloc.lease(machine=machine):
    raise KeyError("mine")
''', env=store.env)
    assert done.returncode == 1 and "KeyError: 'mine'" in done.stderr and store.ids() == []


@case
def it_ends_with_an_interpreter_that_is_killed():
    store = Store()
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGABRT):
        with Program(HOLD, env=store.env) as program:
            held = program.line()
            assert store.ids() == [held]
            program.process.send_signal(number)
            assert program.process.wait(PATIENCE) == -number
            assert store.ids() == []


@case
def it_ends_with_the_object_which_says_so():
    store = Store()
    done = python(START + '''
import warnings
warnings.simplefilter("always")
gpus = gpualloc.lease(machine=machine)
device = gpus[0]
assert len(gpualloc.leases()) == 1
del gpus
assert device.name  # reads on
del device
assert len(gpualloc.leases()) == 0
''', env=store.env)
    assert done.returncode == 0, done.stderr
    assert "ResourceWarning: lease " in done.stderr and " was not released" in done.stderr


@case
def releasing_twice_and_using_what_is_released():
    store = Store()
    store.printed('''
gpus = gpualloc.lease(2, machine=machine, note="a note")
assert [one.note for one in gpualloc.leases()] == ["a note"]
gpus.release()
gpus.release()
assert gpus.is_released and gpus[0].uuid and len(gpualloc.leases()) == 0
try:
    gpus.fd
except gpualloc.BadRequest as problem:
    assert "has been released" in str(problem)
else:
    raise AssertionError("a descriptor of nothing")
''')


@case
def nobody_else_gets_what_is_leased():
    store = Store()
    with holder(store):
        store.printed('''
for function in (gpualloc.lease, gpualloc.pick):
    try:
        function(machine=machine)
    except gpualloc.Busy as problem:
        assert "leased" in str(problem) and problem.exit_status == 75, problem
        assert ("wait=True" in str(problem)) == (function is gpualloc.lease), problem
    else:
        raise AssertionError(function)
assert {device.state for device in gpualloc.machine(machine)} == {"leased"}
for device in gpualloc.machine(machine):
    (held,) = device.held
    assert device.lease == held.id == gpualloc.leases()[0].id and held.uuids, device
    assert held.until is None and device.kept_for is None
''')
    assert store.ids() == []


@case
def variables_are_set_for_the_block_and_restored():
    store = Store()
    store.printed('''
os.environ["CUDA_VISIBLE_DEVICES"] = "4,5"
before = dict(os.environ)
with gpualloc.lease(2, machine=machine, set_environ=True, memory="1GiB", share=True) as gpus:
    assert os.environ["CUDA_VISIBLE_DEVICES"] == gpus.env["CUDA_VISIBLE_DEVICES"]
    assert set(gpus.ids) == {"4", "5"} and gpus.torch_devices == ("cuda:0", "cuda:1")
    assert os.environ["GPUALLOC_MEMORY"] == str(gpus.memory) == str(1 << 30)
    # A lease within: of the same devices, and of no others.
    with gpualloc.lease(1, machine=machine, memory="512MiB", share=True) as inner:
        assert set(inner.ids) < {"4", "5"}
        assert os.environ["GPUALLOC_LEASE"] == gpus.id != inner.id
assert dict(os.environ) == before
with gpualloc.lease(1, machine=machine) as gpus:
    assert set(gpus.ids) < {"4", "5"}
''')


# ---- processes ----

@case
def a_forked_child_has_it_too():
    store = Store()
    with store.program('''
gpus = gpualloc.lease(machine=machine)
if os.fork() == 0:
    print("child", os.getpid(), flush=True)
    os.read(0, 1)
    os._exit(0)
os.read(0, 1)
''') as program:
        child = os.pidfd_open(int(program.line().split()[1]))
        held = store.ids()
        program.process.kill()
        program.process.wait(PATIENCE)
        assert store.ids() == held and len(held) == 1, held
        signal.pidfd_send_signal(child, signal.SIGKILL)
        until_ended(child)
        assert store.ids() == []


def until_ended(process):
    """Until the process of a pidfd, which is not our child, has ended."""
    assert select.select([process], [], [], PATIENCE)[0], "it does not end"
    os.close(process)


@case
def a_child_that_releases_lets_go_of_its_share_only():
    store = Store()
    for leave in ("gpus.release()", "gpus.__exit__(None, None, None)"):
        with store.program(f'''
gpus = gpualloc.lease(machine=machine)
if os.fork() == 0:
    {leave}
    print(gpus.is_released, gpus[0].uuid is not None, len(gpualloc.leases()), flush=True)
    os.read(0, 1)
    os._exit(0)
os.read(0, 1)
''') as program:
            assert program.line() == "True True 1"
            # What the child has does not keep the lease.
            program.process.kill()
            program.process.wait(PATIENCE)
            assert store.ids() == []


@case
def releasing_ends_it_for_children_too():
    store = Store()
    with store.program('''
gpus = gpualloc.lease(machine=machine)
child = os.fork()
if child == 0:
    os.read(0, 1)
    os._exit(0)
gpus.release()
print(len(gpualloc.leases()), flush=True)
os.waitpid(child, 0)
''') as program:
        assert program.line() == "0"


@case
def multiprocessing_by_fork_and_by_spawn():
    store, where = Store(), folder()
    path = os.path.join(where, "script.py")
    with open(path, "w", encoding="utf-8") as file:
        file.write(START + '''
import multiprocessing

def look(number):
    has_it = os.path.exists("/proc/self/fd/" + os.environ["GPUALLOC_FD"])
    return os.environ["CUDA_VISIBLE_DEVICES"], has_it, len(gpualloc.leases())

if __name__ == "__main__":
    for method, has_it in (("fork", True), ("spawn", False)):
        with gpualloc.lease(2, machine=machine, set_environ=True) as gpus:
            with multiprocessing.get_context(method).Pool(2) as pool:
                for seen in pool.map(look, range(4)):
                    assert seen == (gpus.env["CUDA_VISIBLE_DEVICES"], has_it, 1), (method, seen)
        assert len(gpualloc.leases()) == 0, method
    print("done")
''')
    done = subprocess.run([sys.executable, path], env=surroundings(**store.env), timeout=PATIENCE,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", ""), done


@case
def programs_have_it_only_with_the_descriptor():
    store = Store()
    store.printed('''
import subprocess
gpus = gpualloc.lease(machine=machine)
plain = subprocess.Popen(["sleep", "1000"], close_fds=False)
gpus.release()
gpus = gpualloc.lease(machine=machine)
given = subprocess.Popen(["sleep", "1000"], env={**os.environ, **gpus.env}, pass_fds=[gpus.fd])
name = gpus.id
import warnings
warnings.simplefilter("ignore", ResourceWarning)
del gpus
assert [one.id for one in gpualloc.leases()] == [name]
given.kill()
given.wait()
assert len(gpualloc.leases()) == 0
plain.kill()
plain.wait()
''')


# ---- a command ----

@case
def a_command_runs_in_a_lease_of_its_own():
    store = Store()
    store.printed('''
import subprocess
os.environ["GPUALLOC_MEMORY"] = "stale"
done = gpualloc.run(["sh", "-c", "echo $CUDA_VISIBLE_DEVICES,$GPUALLOC_MEMORY; echo $A $B; "
                     "readlink /proc/self/fd/$GPUALLOC_FD; exit 3"], count=2, machine=machine,
                    only="1,2", form="index", env={"A": "a", "PATH": os.environ["PATH"]},
                    capture_output=True, text=True)
visible, more, ledger = done.stdout.split("\\n")[:3]
assert sorted(visible.split(",")) == ["", "1", "2"] and more == "a", done
assert ledger == os.environ["GPUALLOC_STATE_DIR"] + "/ledger" and done.returncode == 3, done
try:
    gpualloc.run(["false"], machine=machine, check=True)
except subprocess.CalledProcessError as problem:
    assert problem.returncode == 1
else:
    raise AssertionError("checked in vain")
assert len(gpualloc.leases()) == 0
for command, kind in ((["no-such-program"], gpualloc.ProgramNotFound),
                      (["/etc/passwd"], gpualloc.ProgramNotRunnable), ([], gpualloc.BadRequest)):
    try:
        gpualloc.run(command, machine=machine)
    except kind as problem:
        assert problem.exit_status in (64, 126, 127)
    else:
        raise AssertionError(command)
''')


@case
def what_a_command_left_behind_keeps_the_lease():
    store = Store()
    left = int(store.printed('''
gpualloc.run(["sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!"], machine=machine)
assert len(gpualloc.leases()) == 1
'''))
    running = os.pidfd_open(left)
    assert len(store.ids()) == 1
    signal.pidfd_send_signal(running, signal.SIGKILL)
    until_ended(running)
    assert store.ids() == []


@case
def a_command_keeps_its_lease_if_the_interpreter_dies():
    store = Store()
    with store.program('''
gpualloc.run(["sh", "-c", "echo $$; read line"], machine=machine, stdin=0)
''') as program:
        command = int(program.line())
        running = os.pidfd_open(command)
        held = store.leases()["leases"]
        assert len(held) == 1 and held[0]["command"] == "sh -c echo $$; read line", held
        program.process.kill()
        program.process.wait(PATIENCE)
        assert len(store.ids()) == 1
        program.process.stdin.close()
        until_ended(running)
        assert store.ids() == []
        program.process.stdin = None


# ---- waiting ----

WAIT = '''
def tell(place, sentence):
    print(place, "leased" in sentence, flush=True)
try:
    gpus = gpualloc.lease(2, machine=machine, wait=True, on_wait=tell)
    print("got", len(gpus), flush=True)
    gpus.release()
except KeyboardInterrupt:
    print("interrupted", len(gpualloc.leases().waiting), len(gpualloc.leases()), flush=True)
'''


@case
def who_waits_is_told_and_gets_it():
    store = Store()
    with holder(store) as other, store.program(WAIT) as program:
        assert program.line() == "1 True"
        store.until_waiting(program.process.pid)
        other.process.kill()
        assert program.line() == "got 2"


@case
def ctrl_c_ends_the_waiting_and_leaves_no_trace():
    store = Store()
    with holder(store), store.program(WAIT) as program:
        store.until_waiting(program.process.pid)
        program.line()
        program.process.send_signal(signal.SIGINT)
        assert program.line() == "interrupted 0 1"
        assert program.end()[0] == 0


@case
def ctrl_c_while_a_driver_hangs():
    store = Store()
    store.env.update(GPUALLOC_NVML=os.environ["FAKE_NVML"], FAKE_HANG="init",
                     GPUALLOC_NVIDIA_SMI="/nonexistent")
    with store.program('''
try:
    gpualloc.machine("nvml", deadline=600)
except KeyboardInterrupt:
    print("interrupted", flush=True)
''') as program:
        until_it_asks(program.process.pid)
        program.process.send_signal(signal.SIGINT)
        assert program.line() == "interrupted"
        assert program.end()[0] == 0


def until_it_asks(pid):
    """The library asks a driver in a child."""
    while True:
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):  # a thread that has just ended
                with open(f"/proc/{pid}/task/{task}/children", encoding="utf-8") as file:
                    if file.read():
                        return


@case
def what_is_kept_for_a_waiter_is_seen():
    store = Store()
    with holder(store, 7), store.program("gpualloc.lease(8, machine=machine, wait=True, note='big')") as waiter:
        store.until_waiting(waiter.process.pid)
        store.printed('''
kept = [device for device in gpualloc.machine(machine) if device.state == "kept"]
assert len(kept) == 1 and kept[0].kept_for.pid == int(sys.argv[1]), kept
(one,) = gpualloc.leases(machine=machine).waiting
assert one.keeps == (kept[0].uuid,) and one.note == "big" and "python" in one.command, vars(one)
try:
    gpualloc.pick(machine=machine)
except gpualloc.Busy as problem:
    assert "kept" in str(problem), problem
else:
    raise AssertionError("chose what is kept")
''', str(waiter.process.pid))


@case
def shares_of_one_gpu():
    store = Store()
    store.printed('''
wanted = {"machine": machine, "memory": "4GiB", "share": True, "only": "5"}
with gpualloc.lease(**wanted) as one, gpualloc.lease(**wanted) as other:
    device = gpualloc.machine(machine)[5]
    assert {held.id for held in device.held} == {one.id, other.id}
    assert device.memory_left == device.memory_free - (8 << 30), device.memory_left
    assert one.memory == 4 << 30
''')


@case
def other_threads_run_meanwhile():
    store = Store()
    with holder(store) as other, store.program('''
import threading
def echo():
    for line in sys.stdin:
        print("heard", line.strip(), flush=True)
threading.Thread(target=echo, daemon=True).start()
''' + WAIT) as program:
        program.line()
        store.until_waiting(program.process.pid)
        for word in ("one", "two"):
            program.say(word)
            assert program.line() == f"heard {word}"
        other.process.kill()
        assert program.line() == "got 2"


@case
def waiting_in_a_thread_of_ones_own():
    store = Store()
    with holder(store) as other, store.program('''
import threading
def work():
    with gpualloc.lease(machine=machine, wait=True, on_wait=lambda *news: print(news[0], flush=True)):
        print("got", flush=True)
thread = threading.Thread(target=work)
thread.start()
thread.join()
''') as program:
        assert program.line() == "1"
        store.until_waiting(program.process.pid)
        other.process.kill()
        assert program.line() == "got"


@case
def waiting_ends_at_its_time_and_when_told_to():
    store = Store()
    with holder(store):
        store.printed('''
import threading
def fails(place, sentence):
    raise KeyError("mine")
def attempts():
    for named, kind in (({"wait": 0.01}, gpualloc.TimedOut), ({"wait": 0}, gpualloc.Busy),
                        ({"wait": True, "on_wait": fails}, KeyError),
                        ({"wait": -1}, gpualloc.BadRequest),
                        ({"wait": float("nan")}, gpualloc.BadRequest)):
        try:
            gpualloc.lease(machine=machine, **named)
        except kind as problem:
            assert kind is not gpualloc.Busy or type(problem) is gpualloc.Busy
        else:
            raise AssertionError(named)
    done.append(True)
done = []
attempts()
thread = threading.Thread(target=attempts)
thread.start()
thread.join()
assert len(done) == 2 and not gpualloc.leases().waiting
''')


# ---- stores ----

def real_machine(**more):
    """The environment of a process on a machine with a driver."""
    where = folder()
    path = os.path.join(where, "machine.json")
    ok("snapshot", "--machine", MACHINE, "-o", path)
    return {"GPUALLOC_NVML": os.environ["FAKE_NVML"], "FAKE_MACHINE": path,
            "XDG_RUNTIME_DIR": where, "HOME": where, **more}


@case
def no_store_on_a_real_machine_is_said_with_what_helps():
    printed('''
import gpualloc
try:
    gpualloc.lease()
except gpualloc.NotPermitted as problem:
    assert "/proc/nowhere" in str(problem) and "private=True" in str(problem), problem
else:
    raise AssertionError("leased nowhere")
assert len(gpualloc.pick(2)) == 2 and len(gpualloc.machine()) == 8
''', env=real_machine(GPUALLOC_STATE_DIR="/proc/nowhere"))


@case
def a_private_store_beside_one_for_everybody_is_refused():
    store = Store()
    printed('''
import gpualloc
gpualloc.lease().release()
try:
    gpualloc.lease(private=True)
except gpualloc.NotPermitted as problem:
    assert "leave out private" in str(problem), problem
else:
    raise AssertionError("leased twice")
''', env=real_machine(**store.env))


@case
def without_a_gpu_a_store_is_not_the_matter():
    nothing = {"GPUALLOC_NVML": "/nonexistent", "GPUALLOC_NVIDIA_SMI": "/nonexistent"}
    printed('''
import gpualloc
try:
    gpualloc.lease()
except gpualloc.NoDriver as problem:
    assert "dgx1-volta" in str(problem), problem
else:
    raise AssertionError("leased nothing")
''', env=nothing)


main()
