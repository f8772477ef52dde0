# SPDX-License-Identifier: Apache-2.0
"""An API server as far as the agent sees it: objects by their path, resource versions, TLS with a
certificate authority of its own, tokens and client certificates."""
import base64
import contextlib
import copy
import http.server
import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import urllib.parse

from ports import free_port

TOKEN = "first.token-of_the.service-account"


def authority(folder):
    """Keys and certificates in the folder: ca, server (127.0.0.1), client (of a node), stranger."""
    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=folder, check=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for name in ("ca", "stranger"):
        openssl("req", "-x509", *key, "-days", "30", "-subj", f"/CN={name}", "-keyout", name + ".key",
                "-out", name + ".crt")
    for name, subject in (("server", "/CN=kubernetes"), ("client", "/CN=system:node:n1")):
        with open(os.path.join(folder, name + ".ext"), "w", encoding="utf-8") as file:
            file.write("subjectAltName = IP:127.0.0.1\n")
        openssl("req", *key, "-subj", subject, "-keyout", name + ".key", "-out", name + ".csr")
        openssl("x509", "-req", "-in", name + ".csr", "-CA", "ca.crt", "-CAkey", "ca.key",
                "-days", "30", "-CAcreateserial", "-extfile", name + ".ext", "-out", name + ".crt")


class Refusal(Exception):
    """An answer of kind Status."""

    def __init__(self, code, reason, message, **headers):
        super().__init__(message)
        self.code, self.reason, self.message, self.headers = code, reason, message, headers


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body at once: else the client delays its ACK between them

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass

    def answer(self, code, value, **headers):
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.end_headers()
        self.wfile.write(body)

    def serve(self):
        api = self.server.api
        size = int(self.headers.get("Content-Length") or 0)
        data = self.rfile.read(size)
        if len(data) < size:  # it was killed
            raise ConnectionError
        body = json.loads(data) if data else None
        with api.changed:
            api.requests.append((self.command, self.path))
            fault = api.faults.pop(0) if api.faults else None
            api.changed.notify_all()
        if fault and fault(self):
            return
        try:
            api.check_identity(self)
            with api.changed:
                code, value = api.handle(self.command, self.path, body,
                                         self.headers.get("Content-Type"))
                api.changed.notify_all()
            if "as=PartialObjectMetadataList" in self.headers.get("Accept", ""):
                value = {"kind": "PartialObjectMetadataList", "metadata": value["metadata"],
                         "items": [{"metadata": item["metadata"]} for item in value["items"]] or None}
            self.answer(code, value)
        except Refusal as refusal:
            self.answer(refusal.code, {"kind": "Status", "apiVersion": "v1", "status": "Failure",
                                       "code": refusal.code, "reason": refusal.reason,
                                       "message": refusal.message}, **refusal.headers)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve


def merge(target, patch):
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict) and isinstance(target.get(key), dict):
            merge(target[key], value)
        else:
            target[key] = value


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    api = context = None
    connections = 0

    def get_request(self):
        self.connections += 1
        # The handshake is the connection's own thread's affair.
        socket, peer = super().get_request()
        return self.context.wrap_socket(socket, server_side=True, do_handshake_on_connect=False), peer

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], OSError):  # a client that went away is none
            super().handle_error(request, client_address)


class Api:
    """Objects lie by path. `check` (kind's path, old, new) raises Refusal for what is not valid."""

    def __init__(self, folder):
        self.folder, self.objects, self.version = folder, {}, 100
        self.changed = threading.Condition()
        self.requests, self.faults, self.tokens = [], [], {TOKEN}
        self.check = lambda path, old, new: None
        self.server, self.port = None, free_port()
        authority(folder)

    # ---- what it answers ----

    def check_identity(self, handler):
        certificate = handler.connection.getpeercert()
        words = (handler.headers.get("Authorization") or "").split(" ")
        if not certificate and (words[0] != "Bearer" or words[-1] not in self.tokens):
            raise Refusal(401, "Unauthorized", "Unauthorized")

    def handle(self, method, path, body, kind):
        url = urllib.parse.urlsplit(path)
        path, query = url.path, urllib.parse.parse_qs(url.query)
        found = self.objects.get(path)
        if method == "GET" and not found:
            return 200, self.list(path, query)
        if method == "POST":
            return 201, self.store(f"{path}/{body['metadata']['name']}", None, body)
        if not found:
            raise Refusal(404, "NotFound", f"\"{path.rsplit('/', 1)[1]}\" not found")
        if method == "PUT":
            return 200, self.store(path, found, body)
        if method == "PATCH":
            if kind != "application/merge-patch+json":
                raise Refusal(415, "UnsupportedMediaType", f"no {kind} here")
            patched = copy.deepcopy(found)
            merge(patched, body)
            return 200, self.store(path, found, patched)
        if method == "DELETE":
            self.version += 1
            return 200, self.objects.pop(path)
        return 200, found

    def list(self, path, query):
        if path.rsplit("/", 1)[1] not in ("resourceslices", "resourceclaims", "nodes", "things"):
            raise Refusal(404, "NotFound", f"\"{path.rsplit('/', 1)[1]}\" not found")
        items = [item for name, item in sorted(self.objects.items())
                 if name.rsplit("/", 1)[0] == path and self.is_selected(item, query)]
        return {"kind": "List", "metadata": {"resourceVersion": str(self.version)}, "items": items}

    @staticmethod
    def is_selected(item, query):
        for pair in ",".join(query.get("fieldSelector", [])).split(","):
            name, _, wanted = pair.partition("=")
            value = item
            for part in name.split(".") if name else ():
                value = value.get(part, {})
            if name and value != wanted:
                return False
        return True

    def store(self, path, old, new):
        meta = new["metadata"]
        if not old and path in self.objects:
            raise Refusal(409, "AlreadyExists", f"\"{meta['name']}\" already exists")
        if old and meta.get("resourceVersion") not in (None, old["metadata"]["resourceVersion"]):
            raise Refusal(409, "Conflict", f"\"{meta['name']}\": the object has been modified")
        if old and meta["name"] != old["metadata"]["name"]:
            raise Refusal(422, "Invalid", "metadata.name: field is immutable")
        new = copy.deepcopy(new)
        self.check(path, old, new)
        self.version += 1
        new["metadata"].update(resourceVersion=str(self.version),
                               uid=old["metadata"]["uid"] if old else f"uid-{self.version}")
        self.objects[path] = new
        return new

    # ---- running ----

    def start(self):
        """Again at the same port, where it ran before."""
        self.server = Server(("127.0.0.1", self.port), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file("server.crt"), self.file("server.key"))
        context.load_verify_locations(self.file("ca.crt"))
        context.verify_mode = ssl.CERT_OPTIONAL
        self.server.api, self.server.context = self, context
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def file(self, name):
        return os.path.join(self.folder, name)

    def url(self):
        return f"https://127.0.0.1:{self.port}"

    # ---- how others reach it ----

    def pod(self, token=TOKEN):
        """A service account's folder, and the variables of a pod."""
        folder = self.file("pod")
        os.makedirs(folder, exist_ok=True)
        shutil.copy(self.file("ca.crt"), folder)
        with open(folder + "/token.new", "w", encoding="utf-8") as file:
            file.write(token + "\n")
        os.rename(folder + "/token.new", folder + "/token")
        return folder, {"KUBERNETES_SERVICE_HOST": "127.0.0.1",
                        "KUBERNETES_SERVICE_PORT": str(self.port)}

    def kubeconfig(self, cluster=None, user=None, **more):
        def read(name):
            with open(self.file(name), "rb") as file:
                return base64.b64encode(file.read()).decode()

        config = {"apiVersion": "v1", "kind": "Config", "current-context": "here",
                  "contexts": [{"name": "other", "context": {"cluster": "x", "user": "y"}},
                               {"name": "here", "context": {"cluster": "c", "user": "u"}}],
                  "clusters": [{"name": "c", "cluster": {
                      "server": self.url(), "certificate-authority-data": read("ca.crt"),
                      **(cluster or {})}}],
                  "users": [{"name": "u", "user": user if user is not None else {
                      "client-certificate-data": read("client.crt"),
                      "client-key-data": read("client.key")}}], **more}
        with open(self.file("config"), "w", encoding="utf-8") as file:
            json.dump(config, file)
        return self.file("config")


@contextlib.contextmanager
def running():
    with tempfile.TemporaryDirectory(prefix="gpualloc-api-") as folder:
        api = Api(folder)
        api.start()
        try:
            yield api
        finally:
            api.stop()
