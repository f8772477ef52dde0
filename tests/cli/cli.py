# SPDX-License-Identifier: Apache-2.0
"""What the tests of the command share: running it, with or without a terminal, and reporting
the outcome as TAP. A test is a function marked @case; a failed assert is a red line."""
import concurrent.futures
import contextlib
import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import traceback
import unicodedata

# Under nohup or in the background they are ignored, and all that is started here would inherit that.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

GPUALLOC = os.environ["GPUALLOC"]
ROOT = os.environ["TEST_ROOT"]
BUILT_IN = ["a100-mig", "dgx-a100", "dgx1-pascal", "dgx1-volta", "dgx2", "hgx-h100", "nvl72",
            "pcie16", "rtx8000x4"]
CASES = []


class Skip(Exception):
    """Raised with the reason why a case cannot be run here."""


def case(function):
    CASES.append(function)
    return function


def machine_file(name):
    return os.path.join(ROOT, "machines", "files", name)


def environment(**more):
    """Ours, without variables that would change what the command does; None removes one."""
    env = {key: value for key, value in os.environ.items()
           if not key.startswith("GPUALLOC") and key not in ("NO_COLOR", "COLUMNS", "LC_ALL")}
    env.update(TERM="xterm-256color", GPUALLOC_CONFIG="/nonexistent/gpualloc.conf")
    for key, value in more.items():
        env.pop(key, None)
        if value is not None:
            env[key] = value
    return env


class Result:
    def __init__(self, code, out, err):
        self.code, self.raw, self.err = code, out, err
        self.out = out.decode(errors="replace")

    def __repr__(self):
        return f"exit {self.code}, stdout {self.out[:600]!r}, stderr {self.err[:600]!r}"


def surroundings(words, env):
    """Commands that only look would show what other tests lease in our own private store; a test that
    means a store names it, or says None."""
    looks = words[:1] and words[0] in ("explain", "leases", "list", "pick", "topo")
    return environment(**({"GPUALLOC_STATE_DIR": "/nonexistent/store"} if looks else {}) | (env or {}))


def run(*words, env=None, **options):
    done = subprocess.run([GPUALLOC, *words], env=surroundings(words, env), timeout=120,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, **options)
    return Result(done.returncode, done.stdout, done.stderr.decode(errors="replace"))


def ok(*words, env=None, **options):
    """Runs a command that must succeed with an empty stderr; returns what it printed."""
    result = run(*words, env=env, **options)
    assert result.code == 0, f"{words}: {result!r}"
    assert result.err == "", f"{words}: {result!r}"
    return result.out


def refused(code, *words, env=None, says=(), **options):
    """Runs a command that must fail: with that exit status, with nothing on stdout, and with a
    sentence on stderr that contains all that says lists."""
    result = run(*words, env=env, **options)
    assert result.code == code, f"{words}: expected exit {code}: {result!r}"
    assert result.raw == b"", f"{words}: stdout is not empty: {result!r}"
    first = '{"schema": 1, ' if "--json" in words else "gpualloc: "
    assert result.err.startswith(first), f"{words}: {result!r}"
    for part in says:
        assert part in result.err, f"{words}: no {part!r} in {result!r}"
    return result.err


def in_time(attempt, *times):
    """Passes if it does with one of these times. The first is enough but on a busy machine, where what should
    happen before the time is up may take longer."""
    for time in times[:-1]:
        with contextlib.suppress(AssertionError):
            return attempt(time)
    return attempt(times[-1])


def on_terminal(*words, columns=80, env=None):
    """Runs a command on a terminal of that width; returns what appeared on it."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    child = subprocess.Popen([GPUALLOC, *words], env=environment(**(env or {})), stdin=slave,
                             stdout=slave, stderr=slave)
    os.close(slave)
    shown = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:
            break
        if not part:
            break
        shown += part
    os.close(master)
    assert child.wait() == 0, shown
    return shown.decode().replace("\r\n", "\n")


def columns_of(line):
    """By Python's own tables, not by ours."""
    return sum(0 if unicodedata.combining(char)
               else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in line)


def widest(text):
    return max(columns_of(line) for line in text.splitlines())


def folder():
    return tempfile.TemporaryDirectory(prefix="gpualloc-test-")


def healthy(path, where):
    """A copy of a machine file in which no GPU is lost, so that CUDA's numbers are certain."""
    copy = os.path.join(where, "healthy.json")
    with open(path, encoding="utf-8") as file, open(copy, "w", encoding="utf-8") as healed:
        healed.write(file.read().replace('"health": "lost"', '"health": "ok"'))
    return copy


def is_sanitized():
    with open(GPUALLOC, "rb") as file:
        return b"__asan_init" in file.read()


def outcome(number, function):
    """Whether a case failed, and the lines that report it."""
    name = function.__name__.replace("_", " ")
    try:
        function()
    except Skip as reason:
        return False, f"ok {number} - {name} # SKIP {reason}"
    except Exception:  # whatever it was, the other cases should still run
        lines = [f"# {line}" for line in traceback.format_exc().splitlines()]
        return True, "\n".join([*lines, f"not ok {number} - {name}"])
    return False, f"ok {number} - {name}"


def main(at_once=1):
    """at_once: how many cases may run side by side, if they do not share anything."""
    failed = False
    print(f"1..{len(CASES)}")
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        each = pool.map if at_once > 1 else map  # setting signals needs the main thread
        for bad, lines in each(outcome, range(1, len(CASES) + 1), CASES):
            failed |= bad
            print(lines, flush=True)
    sys.exit(failed)
