#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes a page of section 3 from HEADER and PAGE.3.in: @section NAME becomes the calls of that section of
the header with their comments, @example FILE the program of that name. Each fact stays in one place.

Usage: page.py HEADER PAGE.3.in, or page.py --calls HEADER PAGE.3.in … for the calls each page has."""
import os
import re
import sys


def sections_of(header):
    """{name: text} of what stands between the lines /* ---- name ---- */."""
    parts = re.split(r"^/\* ---- (.*?) ---- \*/$", header, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def entries_of(section):
    """(comment, declaration) of everything that a section declares."""
    pattern = (r"(?:/\*((?:[^*]|\*(?!/))*)\*/\n)?"
               r"((?:#define\b(?:[^\\\n]|\\\n)*\n?)+|(?:GPUALLOC_EXPORT|typedef|enum|struct)\b(?:[^;{]|\{[^}]*\})*;)")
    for found in re.finditer(pattern, section):
        comment = re.sub(r"^ ?\* ?", "", (found.group(1) or "").strip(), flags=re.M)
        yield " ".join(comment.split()), found.group(2)


def name_of(declaration):
    found = re.search(r"\b(gpualloc_\w+)\(", declaration) if "GPUALLOC_EXPORT" in declaration else None
    return found.group(1) if found else None


def escaped(text):
    return re.sub(r"([\\*_#~`<>\[\]])", r"\\\1", text)


def block(code):
    return "```\n" + code.strip().expandtabs(8).replace("\\", "\\\\") + "\n```\n"


def calls(section):
    for comment, declaration in entries_of(section):
        code = re.sub(r"^GPUALLOC_EXPORT ", "", declaration)
        yield block("\n".join(line.rstrip() for line in code.split("\n")))
        if comment:
            yield escaped(comment) + "\n"


def page(header, path):
    sections, out = sections_of(header), []
    with open(path, encoding="utf-8") as file:
        lines = file.read().split("\n")
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == "@section":
            out += calls(sections[rest])
        elif word == "@example":
            with open(os.path.join(os.path.dirname(path), rest), encoding="utf-8") as file:
                out.append(block(file.read().split("*/\n", 2)[2].strip("\n")))
        else:
            out.append(line)
    return "\n".join(out[1:])  # the licence stays behind


def calls_of(header, path):
    with open(path, encoding="utf-8") as file:
        wanted = re.findall(r"^@section (.*)$", file.read(), re.M)
    return [name for section in wanted for _, declaration in
            entries_of(sections_of(header)[section]) if (name := name_of(declaration))]


if __name__ == "__main__":
    arguments = sys.argv[1:]
    counting = arguments[0] == "--calls"
    with open(arguments[counting], encoding="utf-8") as source:
        text = source.read()
    for one in arguments[1 + counting:]:
        print("\n".join(f"{os.path.basename(one)} {name}" for name in calls_of(text, one))
              if counting else page(text, one))
