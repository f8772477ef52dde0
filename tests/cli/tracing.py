# SPDX-License-Identifier: Apache-2.0
"""The system calls of a command, where the point is what it does not do."""
import os
import re
import shutil
import subprocess
import tempfile

from cli import Skip


class Trace:
    """words() go before a command; calls() are what it and its children have done so far, as pairs
    of a process and a line of strace, each call in one piece."""

    def __init__(self, *filters, person=None):
        options = person.as_them() if person else {}
        command = [shutil.which("strace") or "", "-o", "/dev/null", "-e", "trace=getppid", "true"]
        if not command[0]:
            raise Skip("no strace")
        done = subprocess.run(command, check=False, capture_output=True, text=True, **options)
        if done.returncode != 0:
            raise Skip("ptrace is not permitted: " + done.stderr.strip())
        self.folder = tempfile.TemporaryDirectory(prefix="gpualloc-trace-")
        self.path = os.path.join(self.folder.name, "log")
        os.mknod(self.path)
        if person:
            os.chmod(self.folder.name, 0o755)
            os.chown(self.path, person.uid, person.gid)
        self.filters = filters
        # A leak checker cannot work beside strace.
        self.environment = {"ASAN_OPTIONS": "detect_leaks=0"}

    def words(self):
        return [shutil.which("strace"), "-f", "-o", self.path, *self.filters]

    def calls(self):
        begun, found = {}, []
        with open(self.path, encoding="utf-8", errors="replace") as file:
            for line in file.read().splitlines():
                pid, text = line.split(maxsplit=1)
                if text.endswith("<unfinished ...>"):
                    begun[pid] = text.removesuffix("<unfinished ...>").rstrip()
                    continue
                resumed = re.match(r"<\.\.\. \w+ resumed>(.*)", text)
                if resumed:
                    text = begun.pop(pid, "") + resumed.group(1)
                found.append((int(pid), text))
        return found

    def under_way(self, pid, name):
        """Whether a process is in that call right now."""
        with open(self.path, encoding="utf-8", errors="replace") as file:
            lines = [line for line in file.read().splitlines() if line.startswith(f"{pid} ")]
        return bool(lines) and name + "(" in lines[-1] and " = " not in lines[-1]
