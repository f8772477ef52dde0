# SPDX-License-Identifier: Apache-2.0
"""An image with nothing but busybox, and the registry from which it is pulled, on loopback."""
import gzip
import hashlib
import http.server
import io
import json
import os
import tarfile
import threading

BUSYBOX = "/bin/busybox"
APPLETS = ["sh", "cat", "echo", "env", "kill", "ls", "mknod", "sleep", "true"]


def layer():
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for folder in ("bin", "dev", "etc", "proc", "sys", "tmp"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        tar.add(os.path.realpath(BUSYBOX), "bin/busybox")
        for name in APPLETS:
            entry = tarfile.TarInfo("bin/" + name)
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
    return content.getvalue()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Registry:
    """As much of the distribution protocol as pulling takes."""

    def __init__(self):
        plain = layer()
        packed = gzip.compress(plain, 1)
        config = json.dumps({
            "architecture": "amd64" if os.uname().machine == "x86_64" else "arm64", "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [digest(plain)]},
            "config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/sleep", "1000000"]}}).encode()
        kind = "application/vnd.oci.image."
        manifest = json.dumps({
            "schemaVersion": 2, "mediaType": kind + "manifest.v1+json",
            "config": {"mediaType": kind + "config.v1+json", "digest": digest(config), "size": len(config)},
            "layers": [{"mediaType": kind + "layer.v1.tar+gzip", "digest": digest(packed),
                        "size": len(packed)}]}).encode()
        blobs = {digest(data): (data, "application/octet-stream") for data in (packed, config)}
        blobs[digest(manifest)] = blobs["1"] = (manifest, kind + "manifest.v1+json")

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self):
                self.answer(False)

            def do_GET(self):
                self.answer(True)

            def answer(self, whole):
                data, kind = blobs.get(self.path.rsplit("/", 1)[1], (None, None))
                if self.path.rstrip("/") == "/v2":
                    data, kind = b"{}", "application/json"
                self.send_response(200 if data is not None else 404)
                for name, value in (("Content-Type", kind or "text/plain"), ("Content-Length", len(data or b"")),
                                    ("Docker-Content-Digest", digest(data or b""))):
                    self.send_header(name, str(value))
                self.end_headers()
                if whole:
                    self.wfile.write(data or b"")

            def log_message(self, *_words):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.image = f"localhost:{self.server.server_port}/check:1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
