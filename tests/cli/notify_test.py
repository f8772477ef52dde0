#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""--notify: somebody is told, outside the lease, and the job never waits for that. What the program
is told it writes into a pipe that the test reads."""
import contextlib
import os
import platform
import re
import select
import signal
import socket
import subprocess

import cli
from cli import GPUALLOC, ROOT, case, main
from leasing import HOLD, PATIENCE, store

RECIPES = os.path.join(os.path.dirname(ROOT), "examples", "notify")
KNOWS_STATUS = tuple(int(part) for part in re.findall(r"\d+", platform.release())[:2]) >= (6, 15)

# One write of less than a page, so that two events never mix.
PROGRAM = """#!/bin/sh
exec 3<&-
text="$(env | grep '^GPUALLOC_'; for fd in /proc/self/fd/*; do readlink $fd; done; pwd; echo .)"
printf '%s\\n' "$text" > {pipe}
{more}
"""


def script(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, 0o755)
    return path


class Told:
    """The program, and what it was told."""

    def __init__(self, one, more="", name="tell me"):
        self.pipe = os.path.join(one.where, f"told{len(os.listdir(one.where))}")
        os.mkfifo(self.pipe)
        self.fd = os.open(self.pipe, os.O_RDWR)
        self.program = script(os.path.join(one.where, name), PROGRAM.format(pipe=self.pipe,
                                                                            more=more))
        self.text = ""

    def next(self):
        while "\n.\n" not in self.text:
            assert select.select([self.fd], [], [], PATIENCE)[0], f"not told; {self.text!r}"
            self.text += os.read(self.fd, 65536).decode()
        event, self.text = self.text.split("\n.\n", 1)
        lines = event.splitlines()
        told = dict(line[len("GPUALLOC_"):].split("=", 1) for line in lines
                    if line.startswith("GPUALLOC_"))
        told["rest"] = [line for line in lines if not line.startswith("GPUALLOC_")]
        return told

    def is_silent(self):
        return not self.text and not select.select([self.fd], [], [], 0)[0]


def uuids(one):
    return sorted(device for lease in one.leases()["leases"] for device in lease["devices"])


@contextlib.contextmanager
def told(*words, **options):
    with store() as one:
        yield one, Told(one, *words, **options)


def check_status(event, status, sentence, is_known=KNOWS_STATUS):
    assert event["EVENT"] == "ended", event
    assert event.get("STATUS") == (str(status) if is_known else None), event
    assert (sentence if is_known else "has ended after") in event["MESSAGE"], event


@case
def somebody_is_told_that_the_command_starts_and_how_it_ended():
    with told() as (one, some):
        holder = one.hold("-n", "2", "--notify", some.program, "--note", "x")
        event = some.next()
        assert event["EVENT"] == "got" and "STATUS" not in event, event
        lease, = one.leases()["leases"]
        assert event["LEASE"] == lease["id"] and event["COMMAND"] == " ".join(HOLD), event
        assert sorted(event["DEVICES"].split(",")) == sorted(lease["devices"]), event
        assert re.fullmatch(rf"{socket.gethostname()}: `sh -c .*` on GPU \d,\d starts",
                            event["MESSAGE"]), event
        assert "FD" not in event, event
        holder.end()
        again = some.next()
        check_status(again, 0, "has ended with status 0 after")
        assert again["LEASE"] == lease["id"] and again["DEVICES"] == event["DEVICES"], again


@case
def a_command_that_is_killed_or_fails_is_told_as_such():
    with told() as (one, some):
        for words in [], ["--supervise"]:
            is_known = KNOWS_STATUS or bool(words)
            assert one.run("--notify", some.program, *words, "sh", "-c", "exit 3").code == 3
            assert some.next()["EVENT"] == "got"
            check_status(some.next(), 3, "has ended with status 3 after", is_known)
            assert one.run("--notify", some.program, *words, "sh", "-c", "kill -9 $$").code in (-9, 137)
            assert some.next()["EVENT"] == "got"
            check_status(some.next(), 137, "was ended by SIGKILL after", is_known)
        result = one.run("--notify", some.program, "--in", "nosuch", "true")
        assert result.code != 0 and some.is_silent()


@case
def a_program_that_hangs_delays_nobody_and_holds_nothing():
    with store() as one:
        wait = os.path.join(one.where, "wait")
        os.mkfifo(wait)
        some = Told(one, f"read line < {wait}")
        # Its output comes through pipes, and their end with the command's.
        one.ok("-n", "8", "--notify", some.program, "true")
        event = some.next()
        assert event["EVENT"] == "got" and some.is_silent(), event
        assert one.is_free()
        assert not any(one.path in line or "lease" in line for line in event["rest"]), event
        assert event["rest"][-1] == "/", event
        for _ in range(2):
            with open(wait, "w", encoding="ascii") as file:
                file.write("go on\n")
            if _ == 0:
                check_status(some.next(), 0, "has ended with status 0")


@case
def its_failure_is_one_line_and_the_commands_status_stays():
    with store() as one:
        program = script(os.path.join(one.where, "fails"),
                         "#!/bin/sh\necho 'no network\x1b[31m' >&2\necho more >&2\nexit 7\n")
        result = one.run("--notify", program, "sh", "-c", "exit 5")
        assert result.code == 5, result
        lines = result.err.splitlines()
        assert lines == [f"gpualloc: note: --notify: {program} ended with status 7 when told "
                         f"\"{event}\": no network?[31m" for event in ("got", "ended")], lines


@case
def what_cannot_be_started_is_refused_before_anything_is_leased():
    with store() as one:
        for word, says in (("no-such-program", "no-such-program"),
                           ("mail me", "one program without arguments"),
                           ("/etc/passwd", "cannot run /etc/passwd")):
            one.refused(64, "--notify", word, "true", says=["--notify", says])
        one.refused(64, "--notify-before", "5m", "true", says=["--notify PROGRAM"])
        one.refused(64, "--notify", "true", "--notify-before", "5m", "true", says=["--time-limit"])
        one.refused(64, "--notify", "true", "--notify-before", "5m", "--time-limit", "2m", "true",
                    says=["2m"])
        assert one.leases()["leases"] == []


@case
def waiting_in_vain_is_told():
    with told() as (one, some):
        one.hold("-n", "8")
        one.refused(124, "--wait=50ms", "--notify", some.program, "python", says=["waited"])
        event = some.next()
        assert event["EVENT"] == "gave-up" and "`python` was not started" in event["MESSAGE"], event
        # Who does not wait sees the refusal.
        one.refused(75, "--notify", some.program, "true")
        assert some.is_silent()


@case
def a_hold_tells_its_start_its_coming_end_and_its_end():
    with told() as (one, some):
        env = {"GPUALLOC_STATE_DIR": one.path}
        lease = cli.ok("hold", "--machine", one.machine, "-n", "2", "--for", "1h", "--notify",
                       some.program, "--notify-before", "3599s", env=env).strip()
        event = some.next()
        assert event["EVENT"] == "got" and event["LEASE"] == lease and "COMMAND" not in event, event
        event = some.next()
        assert event["EVENT"] == "ending" and event["LEASE"] == lease, event
        assert f"hold --extend {lease} --for" in event["MESSAGE"], event
        assert re.search(r"ends in 59 min, at \d\d:\d\d;", event["MESSAGE"]), event
        cli.ok("hold", "--extend", lease, "--for", "1s", env=env)
        assert some.next()["EVENT"] == "ending"  # the new end is told too
        cli.ok("release", lease, env=env)
        event = some.next()
        assert event["EVENT"] == "ended" and f"hold {lease} of GPU" in event["MESSAGE"], event
        assert "STATUS" not in event and "is over" in event["MESSAGE"], event


@case
def a_time_limit_is_told_before_it_comes():
    with told() as (one, some):
        holder = one.hold("--time-limit", "1h", "--notify", some.program, "--notify-before",
                          "3599s")
        assert some.next()["EVENT"] == "got"
        event = some.next()
        assert event["EVENT"] == "ending" and "by its time limit" in event["MESSAGE"], event
        holder.end()
        check_status(some.next(), 0, "has ended with status 0", True)


@case
def a_command_in_a_hold_tells_its_end_only():
    with told() as (one, some):
        env = {"GPUALLOC_STATE_DIR": one.path}
        lease = cli.ok("hold", "--machine", one.machine, "--for", "1h", env=env).strip()
        assert cli.run("run", "--in", lease, "--notify", some.program, "sh", "-c", "exit 4",
                       env=env).code == 4
        event = some.next()
        check_status(event, 4, "has ended with status 4")
        assert event["LEASE"] == lease, event
        cli.ok("release", lease, env=env)


@case
def nobody_is_told_who_gave_up_by_ctrl_c():
    with told() as (one, some):
        holder = one.hold("-n", "8")
        child = subprocess.Popen([GPUALLOC, "run", "--wait", "--machine", one.machine, "--notify",
                                  some.program, "true"], env=one.environment(),
                                 stderr=subprocess.PIPE, text=True)
        assert child.stderr.readline().startswith("gpualloc: waiting"), child
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=PATIENCE)  # the teller has the pipe too, until it ends
        assert child.returncode == -signal.SIGINT and some.is_silent()
        holder.end()


# ---- recipes ----

FAKE = """#!/bin/sh
{{ printf '%s\\n' "$0" "$@"; echo --; cat; }} > {out}
"""


def recipe(one, name, program, message, **env):
    out = os.path.join(one.where, "out")
    script(os.path.join(one.where, program), FAKE.format(out=out))
    done = subprocess.run([os.path.join(RECIPES, name)], text=True, capture_output=True,
                          check=False,
                          env={"PATH": f"{one.where}:{os.environ['PATH']}", "GPUALLOC_EVENT": "got",
                               "GPUALLOC_MESSAGE": message, **env})
    assert done.returncode == 0 and done.stdout + done.stderr == "", done
    with open(out, encoding="utf-8") as file:
        words, text = file.read().split("\n--\n", 1)
    return words.split("\n")[1:], text


@case
def the_recipes_say_what_happened_to_the_programs_that_send_it():
    message = 'gpu7: `sh -c "a\\b"` on GPU 0 starts'
    with store() as one:
        words, text = recipe(one, "mail", "mail", message, MAILTO="me@example.org")
        assert words == ["-s", message, "me@example.org"] and text.startswith(message + "\n"), text
        words, text = recipe(one, "ntfy", "curl", message, NTFY_URL="https://ntfy.sh/x")
        assert words[-2:] == ["--config", "-"] and not any("ntfy" in word for word in words), words
        assert text.splitlines() == ['url = "https://ntfy.sh/x"',
                                     'data-raw = "gpu7: `sh -c \\"a\\\\b\\"` on GPU 0 starts"'], text
        words, text = recipe(one, "chat", "curl", message, CHAT_WEBHOOK="https://chat/y")
        assert not any("chat" in word for word in words), words
        assert text.splitlines()[2] == ('data-raw = "{\\"text\\": \\"gpu7: `sh -c '
                                        '\\\\\\"a\\\\\\\\b\\\\\\"` on GPU 0 starts\\"}"'), text
        done = subprocess.run([os.path.join(RECIPES, "ntfy")], capture_output=True, text=True,
                              check=False, env={"PATH": os.environ["PATH"]})
        assert done.returncode != 0 and "NTFY_URL" in done.stderr, done


@case
def the_document_shows_the_recipes_as_they_are():
    with open(os.path.join(os.path.dirname(ROOT), "docs", "NOTIFY.md"), encoding="utf-8") as file:
        document = file.read()
    for name in "mail", "ntfy", "chat":
        with open(os.path.join(RECIPES, name), encoding="utf-8") as file:
            lines = [line for line in file if not line.startswith("# ")]
        assert f"```sh\n{''.join(lines)}```\n" in document, name


main(at_once=4)
