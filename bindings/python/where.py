# SPDX-License-Identifier: Apache-2.0
"""Prints a folder below the prefix where this Python looks for packages: Debian's looks in other
places than Python's own rules say. Argument: the prefix."""
import sys
import sysconfig

PREFIX = sys.argv[1].rstrip("/")
FOUND = [path for path in sys.path
         if path.startswith(PREFIX + "/lib") and path.endswith("-packages")]
print(FOUND[0] if FOUND else sysconfig.get_path("purelib", "posix_prefix", {"base": PREFIX}))
