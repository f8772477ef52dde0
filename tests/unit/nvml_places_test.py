#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The driver's library is found where systems keep it that do not tell the loader."""
import os
import subprocess
import sys
import tempfile

PROGRAM, MACHINE = sys.argv[1:]
FOLDERS = ["usr/lib/wsl/lib", "run/opengl-driver/lib", "var/lib/nvidia/lib64",
           "home/kubernetes/bin/nvidia/lib64", "usr/local/nvidia/lib64", "usr/local/nvidia/lib"]
SONAME = "libnvidia-ml.so.1"


def ask(root):
    # Without the path by which the other tests make the loader find our own.
    env = {key: value for key, value in os.environ.items() if key != "LD_LIBRARY_PATH"}
    done = subprocess.run([PROGRAM, root], env={**env, "FAKE_MACHINE": MACHINE}, text=True,
                          stdout=subprocess.PIPE, timeout=120, check=False)
    return done.stdout.strip()


def main():
    known = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=False)
    if SONAME in known.stdout:
        print("1..0 # SKIP the loader finds a driver's library, which is never loaded in a test")
        return 0
    print(f"1..{len(FOLDERS) + 1}")
    failed = False
    for number, folder in enumerate(FOLDERS, 1):
        with tempfile.TemporaryDirectory() as root:
            os.makedirs(os.path.join(root, folder))
            os.symlink(os.path.join(os.environ["FAKE_DIR"], SONAME),
                       os.path.join(root, folder, SONAME))
            told = ask(root)
        right = told.endswith(" GPUs")
        failed = failed or not right
        print(f"{'ok' if right else 'not ok'} {number} - it is found in /{folder}")
        if not right:
            print("#", told)
    with tempfile.TemporaryDirectory() as root:
        told = ask(root)
    right = told == ("NVML: there is no NVIDIA driver here (no /proc/driver/nvidia/version), "
                     "and its library cannot be loaded")
    print(f"{'ok' if right else 'not ok'} {len(FOLDERS) + 1} - where there is none it is missed")
    if not right:
        print("#", told)
    return failed or not right


sys.exit(main())
