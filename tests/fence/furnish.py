# SPDX-License-Identifier: Apache-2.0
"""What single tests need in the virtual machine beyond what all have: programs of Debian's with the files that
they read, and modules of the kernel. What is missing here is left out; the test in the guest finds that it is
not there, and says so."""
import glob
import os
import shutil

TOOLS = "/usr/sbin:/usr/bin:/sbin:/bin"
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SYSTEMD = "/usr/lib/systemd/systemd"
UNITS = "/usr/lib/systemd/system"
# Not the folders of wishes beside them: what a machine wants to have at boot is not here.
STANDARD = ["basic.target", "multi-user.target", "shutdown.target", "sockets.target", "sysinit.target",
            "systemd-udevd.service", "systemd-udevd-control.socket", "systemd-udevd-kernel.socket", "umount.target"]
TESTS_UNIT = """[Unit]
DefaultDependencies=no
Wants=systemd-udevd.service
After=systemd-udevd.service

[Service]
Type=oneshot
ExecStart=/run-tests
StandardOutput=tty
StandardError=tty
"""


def programs(initrd, *names):
    for name in names:
        found = shutil.which(name, path=TOOLS)
        if found:
            initrd.program(os.path.realpath(found))
            initrd.copy(found)


def engines(initrd, _build, _kernel):
    """podman's shared memory and its rules."""
    programs(initrd, "podman", "conmon", "runc", "crun", "busybox")
    for path in ("/etc/containers", "/usr/share/containers"):
        if os.path.isdir(path):
            initrd.copy(path)


def uevents(initrd, build, kernel):
    """systemd is the first process, and the tests are a service of its."""
    programs(initrd, "systemctl", "udevadm")
    if not os.path.exists(SYSTEMD):
        return
    initrd.program(SYSTEMD)
    initrd.copy("/usr/lib/systemd/systemd-udevd")
    for name in STANDARD:
        initrd.copy(os.path.join(UNITS, name))
    initrd.file(UNITS + "/tests.service", TESTS_UNIT.encode(), 0o644)
    initrd.copy(os.path.join(ROOT, "systemd/90-gpualloc.rules"))
    initrd.copy(os.path.join(build, "systemd/gpualloc-fence.service"))
    for path in glob.glob(os.path.dirname(kernel) + "/../lib/modules/*/kernel/drivers/misc/pvpanic/*.ko"):
        with open(path, "rb") as file:
            initrd.file("/modules/" + os.path.basename(path), file.read(), 0o644)
    initrd.first = SYSTEMD + " --unit=tests.service"


NEEDS = {"engines_test.py": engines, "uevents_test.py": uevents}


def furnish(initrd, tests, build, kernel):
    for test in tests:
        need = NEEDS.get(os.path.basename(test))
        if need:
            need(initrd, build, kernel)


def devices(tests):
    """For QEMU. A driver for this one is among the modules; see uevents_test.py."""
    return ["-device", "pvpanic-pci"] if "uevents_test.py" in map(os.path.basename, tests) else []
