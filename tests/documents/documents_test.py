#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs what the documents tell people to type, and compares.

A block ```console is typed and read: lines that begin with "$ " are commands for bash, what follows is
what they must print, both streams as a person sees them. "…" stands for anything within a line, and
alone for any number of lines. All blocks of a document share one shell, an empty folder and a store of
their own. The machine is named after the language (```console machine=hgx-h100), else it is the one
before, at first dgx1-volta. In other blocks with commands, and in code within text, each command's
options must be in its help.

Pictures after a comment <!-- picture: COMMAND --> must be what that command draws now.

documents_test.py ROOT [FILE…]; with --write the documents get what the commands print now."""
import contextlib
import os
import re
import shlex
import subprocess
import sys
import tempfile

arguments = [word for word in sys.argv[1:] if word != "--write"]
WRITE = "--write" in sys.argv
ROOT, *FILES = arguments
BIN = os.environ["DOCUMENTS_BIN"].split(":")
TOOLS = ("gpualloc", "getgpu", "cudawrap", "create_cudawrap")
FENCE = re.compile(r"^```(\w*)(.*)$")
MARK = "=== end of a command ==="


class Block:
    """One fenced block; begin and end are the numbers of its first and last line of content."""

    def __init__(self, language, info, begin):
        self.language, self.begin, self.end = language, begin, begin
        found = re.search(r"machine=(\S+)", info)
        self.machine = found[1] if found else None


def blocks(lines):
    block = None
    for number, line in enumerate(lines):
        fence = FENCE.match(line)
        if not fence:
            continue
        if block is None:
            block = Block(fence[1], fence[2], number + 1)
        else:
            block.end = number
            yield block
            block = None


class Typed:
    """A command and what it must print."""

    def __init__(self, command):
        self.command, self.expected, self.printed = command, [], []


def typed(lines):
    result = []
    for line in lines:
        if line.startswith("$ "):
            result.append(Typed(line[2:]))
        elif result and result[-1].command.endswith("\\") and not result[-1].expected:
            result[-1].command += "\n" + line
        elif result:
            result[-1].expected.append(line)
    return result


class Shell:
    """A bash that is typed to. What it leaves held is released at the end."""

    def __init__(self, folder):
        self.env = {**os.environ, "PATH": ":".join([*BIN, os.environ["PATH"]]), "HOME": folder,
                    "GPUALLOC_STATE_DIR": os.path.join(folder, "store"), "LC_ALL": "C.UTF-8"}
        for name in ("GPUALLOC_MACHINE", "CUDA_VISIBLE_DEVICES", "GPUALLOC_LEASE", "GPUALLOC_FD", "COLUMNS"):
            self.env.pop(name, None)
        self.folder = os.path.join(folder, "work")
        os.mkdir(self.folder)
        subprocess.run(["gpualloc", "setup"], env=self.env, check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        self.process = subprocess.Popen(["bash", "--norc"], env=self.env, cwd=self.folder, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)

    def type(self, command):
        # The next command finds this one's status in $?.
        self.process.stdin.write(f"{command}\nstatus_=$?; echo '{MARK}'; (exit $status_)\n")
        self.process.stdin.flush()
        printed = []
        for line in self.process.stdout:
            if line.rstrip("\n").endswith(MARK):
                # What did not end its line stands before the mark.
                if line.rstrip("\n") != MARK:
                    printed.append(line.rstrip("\n")[:-len(MARK)])
                return printed
            printed.append(line.rstrip("\n"))
        raise AssertionError(f"the shell ended at: {command}")

    def end(self):
        self.type("for id in $(gpualloc leases --json | python3 -c 'import json, sys\n"
                  "for one in json.load(sys.stdin)[\"leases\"]: print(one[\"id\"])'); do "
                  "gpualloc release --yes $id; done")
        self.process.communicate()


@contextlib.contextmanager
def shell():
    with tempfile.TemporaryDirectory(prefix="gpualloc-documents-") as folder:
        one = Shell(folder)
        try:
            yield one
        finally:
            one.end()


def is_like(pattern, line):
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.split("…")), line) is not None


def is_as_expected(expected, printed):
    """Both are lists of lines; a pattern "…" alone stands for any number of lines."""
    if not expected:
        return not printed
    if expected[0].strip() == "…":
        return any(is_as_expected(expected[1:], printed[skip:]) for skip in range(len(printed) + 1))
    return bool(printed) and is_like(expected[0], printed[0]) and \
        is_as_expected(expected[1:], printed[1:])


def without_empty_end(lines):
    while lines and not lines[-1]:
        lines = lines[:-1]
    return lines


def try_out(path, lines):
    """Yields what is not as the document says; with --write, puts it right."""
    replaced, faults = [], []
    consoles = [block for block in blocks(lines) if block.language == "console"]
    if not consoles:
        return faults
    with shell() as bash:
        bash.type("export GPUALLOC_MACHINE=dgx1-volta")
        for block in consoles:
            if block.machine:
                bash.type(f"export GPUALLOC_MACHINE={block.machine}")
            now = []
            for one in typed(lines[block.begin:block.end]):
                one.printed = without_empty_end(bash.type(one.command))
                good = is_as_expected(without_empty_end(one.expected), one.printed)
                if not good:
                    faults.append("\n".join([f"{path}: $ {one.command}", *one.printed]))
                now += ["$ " + one.command, *(one.expected if good else one.printed)]
            replaced.append((block, now))
    if WRITE and faults:
        for block, now in reversed(replaced):
            lines[block.begin:block.end] = now
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
    return faults


class Helps:
    """What each command's help says, asked once."""

    def __init__(self):
        self.texts = {}

    def of(self, command):
        if command not in self.texts:
            words = command.split()
            words = ["gpualloc", "help", words[1]] if words[0] == "gpualloc" else [words[0], "--help"]
            done = subprocess.run(words, capture_output=True, text=True, check=False, env={
                **os.environ, "PATH": ":".join([*BIN, os.environ["PATH"]])})
            self.texts[command] = done.stdout if done.returncode == 0 else None
        return self.texts[command]


HELPS = Helps()
WRAPPERS = {"sudo", "exec", "time", "nohup", "if", "!"}


def commands_in(text):
    """Words of every command of ours in a line of shell. Rough: it must not cry wolf."""
    for part in re.split(r"\$\(|\||;|&&|\)|`", text):
        try:
            words = shlex.split(part, comments=True)
        except ValueError:
            continue
        while words and (words[0] in WRAPPERS or re.fullmatch(r"\w+=.*", words[0])):
            words = words[1:]
        if words and words[0] in TOOLS:
            yield words


def unknown_options(text):
    for words in commands_in(text):
        if words[0] == "gpualloc":
            if len(words) < 2 or not re.fullmatch(r"[a-z]+", words[1]):
                continue
            command, rest = f"gpualloc {words[1]}", words[2:]
        else:
            command, rest = words[0], words[1:]
        said = HELPS.of(command)
        if said is None:
            yield f"{command}: there is no such command"
            continue
        for word in rest:
            if word == "--" or command in ("cudawrap",):
                break
            # The command that run starts has options of its own, after its name.
            name = re.match(r"--?[a-z][a-z-]*", word)
            if name and word.startswith("--") and not re.search(
                    re.escape(name[0]) + r"(?![a-z-])", said):
                yield f"{command} has no {name[0]}"


def check_options(path, lines):
    faults = []
    for block in blocks(lines):
        if block.language in ("", "sh", "console"):
            for number in range(block.begin, block.end):
                line = lines[number]
                if block.language == "console" and not line.startswith("$ "):
                    continue
                faults += [f"{path}:{number + 1}: {fault}" for fault in
                           unknown_options(line[2:] if line.startswith("$ ") else line)]
    text, inside = "", False
    for line in lines:
        if line.startswith("```"):
            inside = not inside
        text += "\n" if inside else line + "\n"
    for code in re.findall(r"(?<!`)`([^`]+)`(?!`)", text):
        faults += [f"{path}: `{code}`: {fault}" for fault in
                   unknown_options(code.replace("\n", " "))]
    return faults


def check_links(path, text):
    """Every file that is linked to is there."""
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if not re.match(r"[a-z]+:", target) and \
                not os.path.exists(os.path.join(os.path.dirname(path), target)):
            yield f"{path}: there is no {target}"


def check_pictures(path, lines):
    """A comment <!-- picture: COMMAND --> names what draws the picture in the line below it."""
    for number, line in enumerate(lines):
        made = re.fullmatch(r"<!-- picture: (.*) -->", line)
        if not made:
            continue
        words = shlex.split(made[1])
        shown = re.search(r"\]\(([^)]+)\)", lines[number + 1])[1]
        target = os.path.join(os.path.dirname(path), shown)
        drawn = subprocess.run(words, capture_output=True, text=True, check=False, env={
            **os.environ, "PATH": ":".join([*BIN, os.environ["PATH"]])})
        if WRITE and drawn.returncode == 0:
            with open(target, "w", encoding="utf-8") as file:
                file.write(drawn.stdout)
        if not os.path.exists(target):
            yield f"{path}: there is no {shown}"
            continue
        with open(target, encoding="utf-8") as file:
            if drawn.returncode != 0 or file.read() != drawn.stdout:
                yield f"{path}: {shown} is not what {made[1]} draws {drawn.stderr}"


def documents():
    if FILES:
        return [os.path.join(ROOT, name) for name in FILES]
    found = [os.path.join(ROOT, name) for name in
             ("README.md", "SECURITY.md", "CONTRIBUTING.md", "ARCHITECTURE.md")]
    folder = os.path.join(ROOT, "docs")
    return found + [os.path.join(folder, name) for name in sorted(os.listdir(folder))
                    if name.endswith(".md")]


def main():
    number, bad = 0, False
    for path in documents():
        with open(path, encoding="utf-8") as file:
            text = file.read()
        lines, name = text.splitlines(), os.path.relpath(path, ROOT)
        for what, faults in (("prints what it says", try_out(path, list(lines))),
                             ("names options that there are", check_options(name, lines)),
                             ("shows what is drawn now", list(check_pictures(path, lines))),
                             ("links to what is there", list(check_links(path, text)))):
            number += 1
            bad |= bool(faults)
            for fault in faults:
                print("\n".join("# " + line for line in fault.splitlines()))
            print("not ok" if faults else "ok", number, "-", name, what, flush=True)
    print(f"1..{number}")
    return bad


sys.exit(main())
