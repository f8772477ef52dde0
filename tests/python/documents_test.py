#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/PYTHON.md keeps its word: each example is run as it stands, on a built-in machine, and prints
what the document says."""
import os
import re
import subprocess
import sys

from cli import GPUALLOC, case, main
from package import PATIENCE, folder, surroundings

DOCUMENT = os.path.join(os.environ["TEST_ROOT"], "..", "docs", "PYTHON.md")
# As much of PyTorch as the examples use: it takes only names that PyTorch would take.
TORCH = '''
import re


class device:
    def __init__(self, name):
        assert re.fullmatch(r"cuda:[0-9]+", name), name


class cuda:
    device = device
'''


def blocks():
    """(language, code, what it should print, the line where it begins)."""
    with open(DOCUMENT, encoding="utf-8") as file:
        text = file.read()
    pattern = r"^```(\w+)\n(.*?)^```\n(?:```text\n(.*?)^```\n)?"
    for found in re.finditer(pattern, text, re.M | re.S):
        yield (*found.groups(), text[:found.start()].count("\n") + 1)


def run(words, where):
    env = surroundings(GPUALLOC_MACHINE="dgx1-volta", GPUALLOC_STATE_DIR=f"{where}/store",
                       JUPYTER_DATA_DIR=f"{where}/jupyter", HOME=where,
                       PATH=os.path.dirname(GPUALLOC) + ":" + os.environ["PATH"])
    env["PYTHONPATH"] += f":{where}"
    return subprocess.run(words, cwd=where, env=env, timeout=PATIENCE, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False)


def add_python(code, expected, line):
    def example():
        where = folder()
        for name, text in (("torch.py", TORCH), ("example.py", code)):
            with open(os.path.join(where, name), "w", encoding="utf-8") as file:
                file.write(text)
        done = run([sys.executable, "-W", "error", "example.py"], where)
        assert (done.returncode, done.stderr) == (0, ""), done
        assert done.stdout == expected, f"it prints:\n{done.stdout}"

    example.__name__ = f"python_in_line_{line}"
    case(example)


def add_shell(code, line):
    def example():
        where = folder()
        for command in code.strip().split("\n"):
            if command.startswith("jupyter "):  # only its names are ours
                continue
            done = run(["sh", "-c", command + " --quiet" if " -- " not in command else command],
                       where)
            assert done.returncode == 0 and done.stdout.endswith("/kernel.json\n"), done

    example.__name__ = f"shell_in_line_{line}"
    case(example)


for language, code, expected, line in blocks():
    if language == "python":
        add_python(code, expected or "", line)
    elif language == "sh":
        add_shell(code, line)


@case
def every_example_was_found():
    languages = [language for language, *_ in blocks()]
    assert languages.count("python") == 7 and languages.count("sh") == 2, languages


@case
def every_exception_is_in_the_table():
    with open(DOCUMENT, encoding="utf-8") as file:
        told = set(re.findall(r"`(\w+)`", "".join(line for line in file if line.startswith("| `"))))
    done = run([sys.executable, "-c", "import gpualloc\nfor name, one in vars(gpualloc).items():\n"
                " if isinstance(one, type) and issubclass(one, gpualloc.Error): print(name)"],
               folder())
    assert set(done.stdout.split()) - {"Error"} == told - {"ValueError", "gpualloc"} - {"run"}, told


main()
