#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Completion in real shells on a terminal: what they insert for what was typed."""
import contextlib
import os
import pty
import re
import select
import shutil
import signal
import subprocess

from cli import GPUALLOC, Skip, case, environment, folder, main, ok, refused
from help_tables import commands, options
from leasing import PATIENCE, store

# On Ctrl-X p a shell shows its line between these, and empties it.
BEGIN, END = "<<", ">>"
BASH = f"""
PS1='' PS2=''
bind 'set enable-bracketed-paste off' 'set bell-style none' 'set completion-query-items 0' \\
  'set page-completions off'
show_line() {{ printf '{BEGIN}%s{END}' "$READLINE_LINE"; READLINE_LINE= READLINE_POINT=0; }}
bind -x '"\\C-xp": show_line'
bind '"\\C-xa": insert-completions' '"\\C-xl": possible-completions'
"""
ZSH = f"""
unsetopt zle_bracketed_paste prompt_cr prompt_sp 2>/dev/null; unset zle_bracketed_paste
PS1='' PS2='' RPS1=''
autoload -Uz compinit && compinit -u -D
show-line() {{ print -rn -- "{BEGIN}$BUFFER{END}"; BUFFER=; }}
zle -N show-line; bindkey '^Xp' show-line
zle -C all-matches complete-word _generic; bindkey '^Xa' all-matches
zstyle ':completion:all-matches:*' insert yes
zstyle ':completion:all-matches::::' completer _all_matches _complete
bindkey '^Xl' list-choices
zstyle ':completion:*' list-prompt '' ; zstyle ':completion:*' list-grouped no
LISTMAX=0
"""


class Shell:
    """An interactive shell that has read our completion."""

    def __init__(self, name, words, before, after, **variables):
        if not shutil.which(name):
            raise Skip(f"no {name} here; tools/install-deps installs it")
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            env = environment(TERM="dumb", INPUTRC="/dev/null", COLUMNS="200", LC_ALL="C.UTF-8",
                              HISTFILE=None, **variables)
            os.execvpe(name, [name, *words], env)
        self.send(before + f'\nsource <("{GPUALLOC}" completion {name})\n' + after +
                  "\nprintf '%s%s' rea dy\n")
        self.until("ready")

    def send(self, text):
        os.write(self.fd, text.encode())

    def until(self, pattern):
        shown = b""
        while not re.search(pattern.encode(), shown, re.S):
            assert select.select([self.fd], [], [], PATIENCE)[0], shown
            shown += os.read(self.fd, 65536)
        return shown.decode(errors="replace")

    def ask(self, line, key):
        self.send(line + key)
        self.send("\x18p")
        return self.until(f"{BEGIN}.*{END}")

    def inserted(self, line):
        """The words that stand in the place of the line's last word."""
        whole = re.search(f"{BEGIN}(.*){END}", self.ask(line, "\x18a"), re.S)[1]
        start = line[:len(line) - len(re.search(r"\S*$", line)[0])]
        assert whole.startswith(start), (line, whole)
        # zsh puts "=" after an option, and takes it away if no value follows.
        return sorted({word.removesuffix("=") for word in whole[len(start):].split()})

    def listed(self, line):
        return self.ask(line, "\x18l")

    def close(self):
        os.close(self.fd)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


@contextlib.contextmanager
def bash(after="", **variables):
    shell = Shell("bash", ["--norc", "--noprofile", "-i"], BASH, after, **variables)
    with contextlib.closing(shell):
        yield shell


@contextlib.contextmanager
def zsh(after="", **variables):
    with folder() as home:  # where zsh would look for its files
        shell = Shell("zsh", ["-f", "-i"], ZSH, after, HOME=home, ZDOTDIR=home, **variables)
        with contextlib.closing(shell):
            yield shell


class Fish:
    """fish completes without a terminal."""

    def __init__(self, home, **variables):
        if not shutil.which("fish"):
            raise Skip("no fish here, and it would be as much again as all other shells")
        self.env = environment(HOME=home, XDG_CONFIG_HOME=home, XDG_DATA_HOME=home, **variables)
        self.script = os.path.join(home, "gpualloc.fish")
        with open(self.script, "w", encoding="utf-8") as file:
            file.write(ok("completion", "fish"))

    def inserted(self, line):
        done = subprocess.run(["fish", "--private", "-c", 'source $argv[1]; complete -C $argv[2]',
                               self.script, line], env=self.env, capture_output=True, text=True,
                              check=True)
        assert done.stderr == "", done
        return sorted({offer.split("\t")[0] for offer in done.stdout.splitlines()})


@contextlib.contextmanager
def fish(**variables):
    with folder() as home:
        os.symlink(GPUALLOC, os.path.join(home, "gpualloc"))
        yield Fish(home, PATH=home + ":" + os.environ["PATH"], **variables)


@contextlib.contextmanager
def in_path():
    with folder() as where:
        os.symlink(GPUALLOC, os.path.join(where, "gpualloc"))
        yield where + ":" + os.environ["PATH"]


@case
def it_has_every_command_and_option():
    scripts = {shell: ok("completion", shell) for shell in ("bash", "fish", "zsh")}
    for command in commands():
        listed = re.findall(rf"__gpualloc_in {command}' -l ([a-z-]+)", scripts["fish"])
        assert sorted(listed) == sorted(options(command)), command
        words = re.search(rf"^    {command}:\) .*\n      options=\"(.*)\"", scripts["bash"],
                          re.M)[1].split()
        assert words == ["--" + option for option in sorted(options(command))], command
        assert f"    {command}) _arguments" in scripts["zsh"]
    refused(64, "completion", says=["bash|fish|zsh"])
    refused(64, "completion", "tcsh", says=["bash, fish and zsh"])
    refused(64, "completion", "bash", "zsh", says=["zsh"])


# What every shell offers: the line, and the words for its last one. None: too many to tell.
EVERYWHERE = [
    ("gpualloc li", ["list"]),
    ("gpualloc topo --sv", ["--svg"]),
    ("gpualloc list --machine dgx1-v", ["dgx1-volta"]),
    ("gpualloc completion z", ["zsh"]),
    ("gpualloc help to", ["topo"]),
    ("gpualloc pick --policy static-dgx1-p", ["static-dgx1-pascal"]),
    ("gpualloc pick -p bal", ["balanced"]),
    ("gpualloc pick --format ", ["env", "index", "json", "pci", "torch", "uuid"]),
    ("gpualloc pick --mig --se", ["--seed"]),  # an optional value only comes after "="
    ("gpualloc slurm gres", ["gres-conf"]),
    ("gpualloc pick --machine a100-mig --only ", ["0", "1", "1:10:0", "1:13:0", "1:3:0",
                                                  "1:5:0", "1:9:0"]),
    ("gpualloc run --machine dgx1-volta -n 2 --require ", list("01234567")),
    # A list goes on, without the devices that it has.
    ("gpualloc pick --machine dgx1-volta --only 0-2,4,", ["0-2,4,3", "0-2,4,5", "0-2,4,6",
                                                          "0-2,4,7"]),
    ("gpualloc pick --machine a100-mig --exclude 0,1:13:0,1:1", ["0,1:13:0,1:10:0"]),
    ("gpualloc pick --machine a100-mig --exclude 1,", ["1,0"]),  # all of its instances
    # The command that runs there, and its own words.
    ("gpualloc run -n 2 gpualloc-of-the-te", ["gpualloc-of-the-test"]),
    ("gpualloc run -- gpualloc-of-the-te", ["gpualloc-of-the-test"]),
    ("gpualloc run --note x -q gpualloc-of-the-te", ["gpualloc-of-the-test"]),
    ("gpualloc run -p sim", ["simple"]),
    ("gpualloc run --note x --sup", ["--supervise"]),
    ("gpualloc run ls /etc/nsswit", ["/etc/nsswitch.conf"]),
    ("gpualloc run -n 2 -- ls /etc/nsswit", ["/etc/nsswitch.conf"]),
]


def check(shell, line, expected):
    got = shell.inserted(line)
    assert got == sorted(expected), f"{line!r}: {got} instead of {sorted(expected)}"


@contextlib.contextmanager
def with_program():
    """The PATH, with gpualloc and a program whose name no other begins with."""
    with in_path() as path:
        where = path.split(":", 1)[0]
        os.symlink(shutil.which("true"), os.path.join(where, "gpualloc-of-the-test"))
        yield path


@case
def bash_completes():
    with with_program() as path, bash(PATH=path) as shell:
        for line, expected in EVERYWHERE:
            check(shell, line, expected)
        check(shell, "gpualloc list --deadline ", [])
        check(shell, "gpualloc pick --mig=", ["--mig"])
        check(shell, "gpualloc pick --policy=wor", ["--policy=worst-fit"])
        check(shell, "gpualloc pick --machine=dgx1-v", ["--machine=dgx1-volta"])
        check(shell, "gpualloc pick --machine=a100-mig --only=0,1:9", ["--only=0,1:9:0"])
        check(shell, "gpualloc slurm check /etc/nsswit", ["/etc/nsswitch.conf"])
        check(shell, "A=1 gpualloc topo --mach", ["--machine"])


@case
def bash_without_breaks_at_colons_completes():
    breaks = "COMP_WORDBREAKS=' \t'"
    with in_path() as path, bash(breaks, PATH=path) as shell:
        check(shell, "gpualloc pick --machine a100-mig --exclude 0,1:5", ["0,1:5:0"])
        check(shell, "gpualloc pick --policy=wor", ["--policy=worst-fit"])
        check(shell, "gpualloc pick --machine=a100-mig --only=0,1:9", ["--only=0,1:9:0"])


@case
def bash_gives_a_program_its_own_completion():
    own = """_mine() { COMPREPLY=("$COMP_CWORD-of-$2-after-$3"); }; complete -F _mine mine"""
    with in_path() as path, bash(own, PATH=path) as shell:
        alone = shell.inserted("mine a b")
        assert alone == ["2-of-b-after-a"], alone
        for line in ("gpualloc run mine a b", "gpualloc run -n 2 -- mine a b",
                     "gpualloc run --only 1:2:0 --policy=simple mine a b"):
            check(shell, line, alone)


@case
def bash_completion_gives_a_program_its_own_completion():
    place = "/usr/share/bash-completion/bash_completion"
    if not os.path.exists(place):
        raise Skip("no bash-completion here; tools/install-deps installs it")
    own = """_mine() { COMPREPLY=("$COMP_CWORD-of-$2-after-$3"); }; complete -F _mine mine"""
    with with_program() as path, bash(f"source {place}; {own}", PATH=path) as shell:
        check(shell, "gpualloc run --only 1:2:0 -n 2 mine a b", ["2-of-b-after-a"])
        check(shell, "gpualloc run gpualloc-of-the-te", ["gpualloc-of-the-test"])
        check(shell, "gpualloc pick --machine=a100-mig --only=0,1:9", ["--only=0,1:9:0"])


@case
def bash_lists_devices_with_their_names_once():
    with in_path() as path, bash(PATH=path) as shell:
        shown = shell.listed("gpualloc pick --machine dgx1-volta --only ")
        for number in range(8):
            assert shown.count(f"{number}  (Tesla V100-SXM2-16GB, free)") == 1, shown


@case
def zsh_completes():
    with with_program() as path, zsh(PATH=path) as shell:
        for line, expected in EVERYWHERE:
            check(shell, line, expected)
        check(shell, "gpualloc pick --policy=wor", ["--policy=worst-fit"])
        check(shell, "gpualloc slurm check /etc/nsswit", ["/etc/nsswitch.conf"])
        shown = shell.listed("gpualloc pick --machine dgx1-volta --only ")
        for number in range(8):
            assert shown.count(f"{number}  -- Tesla V100-SXM2-16GB, free") == 1, shown


@case
def fish_completes():
    with with_program() as path, fish() as shell:
        shell.env["PATH"] = path
        for line, expected in EVERYWHERE:
            check(shell, line, expected)


@case
def leases_of_ones_own_are_offered():
    with store() as one, with_program() as path:
        first, second = [one.hold("-n", "1", "--note", note) for note in ("one", "two")]
        ids = sorted(lease["id"] for lease in one.leases()["leases"])
        offered = one.ask("completion", "leases").splitlines()
        assert sorted(line.split("\t")[0] for line in offered) == ids, offered
        assert any(line.endswith(", two") for line in offered), offered
        env = {"PATH": path, "GPUALLOC_STATE_DIR": one.path}
        shells = [bash, zsh] if shutil.which("zsh") else [bash]
        for shell in shells:
            with shell(**env) as running:
                for line in ("gpualloc release ", "gpualloc run --in ", "gpualloc leases --pids ",
                             "gpualloc hold --extend "):
                    got = [word for word in running.inserted(line) if not word.startswith("-")]
                    assert got == ids, (line, got)
                check(running, f"gpualloc release {ids[0]} {ids[1][:6]}", [ids[1]])
        first.end()
        second.end()
        assert one.ask("completion", "leases") == ""


@case
def devices_are_told_to_whoever_asks():
    machine = ["--machine", "a100-mig"]
    offered = dict(line.split("\t") for line in ok("completion", "devices", *machine).splitlines())
    assert offered["0"] == "NVIDIA A100-PCIE-40GB, free", offered
    assert offered["1"] == "NVIDIA A100-PCIE-40GB, in MIG mode", offered
    assert offered["1:9:0"] == "NVIDIA A100-PCIE-40GB 1g.5gb, free" and len(offered) == 7, offered
    uuids = ok("completion", "devices", "0,M", *machine).splitlines()
    assert len(uuids) == 5 and all(line.startswith("0,MIG-") for line in uuids), uuids
    named = uuids[0].split("\t")[0]
    assert len(ok("completion", "devices", named + ",M", *machine).splitlines()) == 4
    assert ok("completion", "devices", "0,1:2", *machine) == ""
    refused(64, "completion", "leases", "0", says=["0"])


main()
