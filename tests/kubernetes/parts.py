# SPDX-License-Identifier: Apache-2.0
"""Cases that need grpcio and protobuf, which are Debian's packages and not in every Python."""
import importlib.util
import sys

from cli import Skip, case

MISSING = [package for package, module in (("python3-grpcio", "grpc"), ("python3-protobuf", "google"))
           if not importlib.util.find_spec(module)]


def needs(function):
    def with_parts():
        if MISSING:
            raise Skip(f"{sys.executable} lacks {' and '.join(MISSING)}")
        function()
    with_parts.__name__ = function.__name__
    return case(with_parts)
