#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""list --watch in a real terminal, tmux's, with real keys: what is on the screen, and how the
terminal is afterwards, however it ends. Waiting is looking at the screen until it shows what it
should."""
import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time

from cli import GPUALLOC, Skip, case, is_sanitized, main, refused
from leasing import PATIENCE, store
from waiting import fake_driver, waiters


class Screen:
    """A shell in a window of tmux."""

    def __init__(self, one, columns=80, lines=24, **env):
        # A server that ends still has its socket.
        self.one = one
        self.socket = os.path.join(one.where, f"tmux{len(os.listdir(one.where))}")
        self.env = {**one.environment(**{"LC_ALL": "C.UTF-8", **env}), "TMUX": ""}
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(lines),
                  "bash --norc --noprofile -i")
        self.tmux("set-option", "-g", "remain-on-exit", "on")
        self.until(r"^\S+[#$]\s*$")

    def tmux(self, *words):
        done = subprocess.run(["tmux", "-u", "-S", self.socket, *words], env=self.env, text=True,
                              capture_output=True, check=False, encoding="utf-8")
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout

    def text(self, *words):
        return self.tmux("capture-pane", "-p", *words)

    def until(self, pattern, text=None):
        end = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, (text or self.text)(), re.M)):
            assert time.monotonic() < end, f"no {pattern!r} in:\n{self.text()}"
        return found

    def key(self, *keys):
        self.tmux("send-keys", *keys)

    def ask(self, command, pattern):
        self.key("-l", command)
        self.key("Enter")
        return self.until(pattern)

    def settings(self):
        """How the terminal is set, and whether it shows its usual screen and a cursor."""
        self.key("-l", "clear; stty -g | tr : _; echo done.")
        self.key("Enter")
        setting = self.until(r"^([0-9a-f_]{30}[0-9a-f_\n]*)\ndone\.$")[1].replace("\n", "")
        return setting, self.is_usual().strip()

    def start(self, *words, machine=None, shows="^GPU "):
        spec = ["--machine", machine or self.one.machine]
        self.key("-l", shlex.join([GPUALLOC, "list", "--watch", *spec, *words]))
        self.key("Enter")
        self.until(shows)
        self.until(r"q end +\? help")

    def is_usual(self):
        """Whether the terminal shows its usual screen, and a cursor."""
        return self.tmux("display", "-p", "#{alternate_on} #{cursor_flag}")

    def ended(self, status):
        self.until("^0 1", self.is_usual)
        self.ask('echo "ended $?"', f"^ended {status}$")

    def pids(self):
        """The guard, the painter, the asker: each is the only child of the one before."""
        shell = int(self.tmux("display", "-p", "#{pane_pid}"))
        found = [shell]
        for _ in range(3):
            with open(f"/proc/{found[-1]}/task/{found[-1]}/children", encoding="ascii") as file:
                found.append(int(file.read().split()[0]))
        return found[1:]

    def end(self):
        with contextlib.suppress(AssertionError):
            self.tmux("kill-server")


@contextlib.contextmanager
def screens(machine="dgx1-volta", **options):
    if not shutil.which("tmux"):
        raise Skip("there is no tmux")
    with store(machine) as one:
        screen = Screen(one, **options)
        try:
            yield one, screen
        finally:
            screen.end()


def rows(text):
    return re.findall(r"^ ?(\d+(?::\d+)*) +(?:free|leased|in-use|excluded|kept)", text, re.M)


@case
def the_screen_shows_devices_holders_and_the_queue():
    with screens() as (one, screen), waiters(one) as some:
        one.hold("-n", "8", "--note", "all")
        some.start("w", "-n", "2")
        screen.start()
        text = screen.text()
        assert rows(text) == [str(i) for i in range(8)], text
        assert re.search(r"^0 +leased .* root +\d+s sh -c", text, re.M), text
        assert "dgx1-volta (simulated): 8 GPUs, 0 free" in text, text
        heading = text.splitlines()[1]
        assert heading.split()[-4:] == ["MEMORY", "USER", "FOR", "COMMAND"], text
        assert re.search(r"^WAITING: 1$\n^root +\d+s 2 GPUs", text, re.M), text
        assert all(len(line) <= 80 for line in text.splitlines()), text
        assert "by machine" in text.splitlines()[23], text
        screen.key("q")
        screen.ended(0)
        one.holders[0].end()


@case
def what_is_kept_or_shared_has_the_words_of_list():
    with screens(columns=160) as (one, screen), waiters(one) as some:
        one.hold("-n", "6", "--only", "0-5")
        for size in ("4GiB", "2GiB"):
            one.hold("--only", "6", "--share", "-m", size)
        some.start("w", "-n", "5")
        screen.start()
        text = screen.text()
        assert re.search(r"^7 +kept .* root +\d+s waits for 5 GPUs$", text, re.M), text
        assert re.search(r"^6 +leased .* root +\d+s 2 leases, 9.8 GiB left$", text, re.M), text
        screen.key("?")
        screen.until("the busiest, the fullest first")
        assert "scroll with" not in screen.text(), screen.text()
        screen.key("q")
        screen.ended(0)
        for holder in one.holders:
            holder.end()


@case
def keys_sort_and_explain():
    with screens("pcie16") as (one, screen):
        one.hold("-n", "1", "--only", "9")
        screen.start()
        for key, name in (("u", "utilization"), ("m", "memory"), ("n", "user"), ("s", "state")):
            screen.key(key)
            screen.until(f"by {name}")
            # Whoever has a user comes first; free comes before leased.
            if key in "ns":
                assert rows(screen.text())[0 if key == "n" else -1] == "9", screen.text()
        screen.key("i")
        screen.until("by machine")
        assert rows(screen.text()) == [str(i) for i in range(16)]
        screen.key("?")
        screen.until("the busiest, the fullest first")
        screen.key("?")
        screen.until("^GPU ")
        one.holders[0].end()


@case
def the_terminal_is_as_before_however_it_ends():
    with screens() as (_one, screen):
        before = screen.settings()
        assert before[1] == "0 1", before
        for end in ("q", "C-c", signal.SIGTERM, signal.SIGHUP, "kill painter", "crash", "kill guard"):
            if end == "crash" and is_sanitized():
                continue  # which has a handler for that
            screen.start()
            guard, painter, _ = screen.pids()
            if end == "kill painter":
                os.kill(painter, signal.SIGKILL)
                screen.until("painted the screen was ended by SIGKILL")
            elif end == "crash":
                os.kill(painter, signal.SIGSEGV)
                screen.until("painted the screen was ended by SIGSEGV")
            elif end == "kill guard":
                os.kill(guard, signal.SIGKILL)
            elif isinstance(end, str):
                screen.key(end)
            else:
                os.kill(guard, end)
            status = {"q": "0", "C-c": "130", signal.SIGTERM: "143", signal.SIGHUP: "129",
                      "kill guard": "137", "kill painter": "137", "crash": "139"}[end]
            screen.ended(status)
            assert screen.settings() == before, end


@case
def it_may_be_stopped_and_goes_on():
    with screens() as (_one, screen):
        before = screen.settings()
        screen.start()
        screen.key("C-z")
        screen.until("Stopped")
        assert screen.settings() == before
        screen.key("-l", "fg")
        screen.key("Enter")
        screen.until("^GPU .*STATE")
        screen.key("q")
        screen.ended(0)
        assert screen.settings() == before


@case
def it_follows_the_size_of_the_window():
    with screens() as (_one, screen):
        screen.start()
        screen.tmux("resize-window", "-x", "160", "-y", "50")
        screen.until(r"^GPU +STATE +UTILIZATION")
        assert "by machine" in screen.text().splitlines()[49], screen.text()
        screen.tmux("resize-window", "-x", "40", "-y", "10")
        screen.until("^too small: 60x8 at least")
        screen.tmux("resize-window", "-x", "80", "-y", "12")
        screen.until("1-9 of|^GPU ")
        assert rows(screen.text()) == [str(i) for i in range(8)], screen.text()


@case
def many_gpus_scroll_and_instances_stand_under_their_gpu():
    with screens("nvl72") as (_one, screen):
        screen.start()
        screen.until("1-21 of 72")
        screen.key("Down")
        screen.until("2-22 of 72")
        screen.key("PageDown")
        screen.until("22-42 of 72")
        screen.key("G")
        screen.until("52-72 of 72")
        assert rows(screen.text())[-1] == "71", screen.text()
        screen.key("g")
        screen.until("1-21 of 72")
        screen.key("q")
        screen.ended(0)
        screen.start(machine="a100-mig")
        assert re.search(r"^1 .*\n^ 1:\d+:\d+ +free", screen.text(), re.M), screen.text()


@case
def gpus_come_and_go():
    with screens() as (one, screen):
        path, _env = fake_driver(one)
        with open(path, encoding="utf-8") as file:
            machine = json.load(file)
        one.machine = path
        screen.start("--interval", "200ms")
        assert rows(screen.text()) == ["0", "1"]
        machine["devices"].pop()
        machine["pcie"] = [["X"]]
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump(machine, file)
        os.rename(path + ".new", path)
        screen.until("two: 1 GPU,")
        assert rows(screen.text()) == ["0"], screen.text()
        os.unlink(path)
        screen.until("no such file|cannot|No such file")


@case
def colours_and_letters_are_those_that_the_terminal_has():
    with screens(columns=100, LC_ALL="C", NO_COLOR="1") as (_one, screen):
        screen.start(machine="hgx-h100")
        text = screen.text("-e")
        assert "\033[" not in text and text.isascii(), text
    with screens() as (_one, screen):
        screen.start(machine="hgx-h100")
        assert "\033[32mfree" in screen.text("-e") and "\u2591" in screen.text(), screen.text("-e")


@case
def a_driver_that_hangs_is_only_said_to():
    with screens() as (one, screen):
        path, env = fake_driver(one)
        screen.end()
        screen = Screen(one, FAKE_HANG="init", **env)
        try:
            screen.start("--deadline", "1h", machine="nvml", shows="asking the driver for the first")
            screen.until("driver silent for [3-9] s")
            screen.key("?")
            screen.until("the busiest")
            screen.key("q")
            screen.ended(0)
            assert os.path.exists(path)
        finally:
            screen.end()


@case
def without_a_terminal_it_says_what_to_use():
    refused(64, "list", "--watch", "--machine", "dgx1-volta", says=["gpualloc list"])
    refused(64, "list", "--watch", "--json", "--machine", "dgx1-volta", says=["--json"])
    refused(64, "list", "--watch", "--free", "--machine", "dgx1-volta", says=["--free"])
    refused(64, "list", "--interval", "2s", "--machine", "dgx1-volta", says=["--watch"])


main(at_once=2)
