# SPDX-License-Identifier: Apache-2.0
"""A program that runs beside the tests, with its log."""
import os
import signal
import subprocess

PATIENCE = 60


class Daemon:
    def __init__(self, where, name, words, env=None):
        self.name, self.path = name, os.path.join(where, "logs", name + ".log")
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        with open(self.path, "ab") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env,
                                            start_new_session=True)

    def runs(self):
        """True; an error with the end of the log if it has ended."""
        assert self.process.poll() is None, f"{self.name} ended with {self.process.returncode}:\n{self.end_of_log()}"
        return True

    def end_of_log(self, lines=25):
        with open(self.path, encoding="utf-8", errors="replace") as file:
            return "".join(line[:400].rstrip("\n") + "\n" for line in file.readlines()[-lines:])

    def end(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode
