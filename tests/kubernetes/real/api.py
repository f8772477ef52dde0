# SPDX-License-Identifier: Apache-2.0
"""The API server as its users see it: JSON over HTTPS, and waiting until something is so."""
import http.client
import json
import ssl
import time

PATIENCE = 180  # seconds after which something expected counts as hanging


class Refused(Exception):
    def __init__(self, code, message):
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message


def until(what, condition, patience=PATIENCE, state=lambda: "", pause=0.1):
    """Asks until the answer is not false; returns it."""
    end = time.monotonic() + patience
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < end, f"{what}: not within {patience} s. {state()}"
        time.sleep(pause)


class Api:
    """For somebody with a certificate or a token."""

    def __init__(self, host, port, authority, certificate=None, key=None, token=None):
        self.host, self.port, self.authority = host, port, authority
        self.context = ssl.create_default_context(cafile=authority)
        if certificate:
            self.context.load_cert_chain(certificate, key)
        self.headers = {"Authorization": "Bearer " + token} if token else {}

    def of(self, token):
        """The same server for somebody else."""
        return Api(self.host, self.port, self.authority, token=token)

    def ask(self, method, path, body=None, kind="application/json"):
        """The answer as text."""
        connection = http.client.HTTPSConnection(self.host, self.port, context=self.context, timeout=60)
        try:
            data = body if body is None or isinstance(body, (str, bytes)) else json.dumps(body)
            connection.request(method, path, data, {
                "Content-Type": kind, "Accept": "application/json", **self.headers})
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        finally:
            connection.close()
        if answer.status >= 300:
            try:
                text = json.loads(text)["message"]
            except (ValueError, KeyError, TypeError):
                pass
            raise Refused(answer.status, text)
        return text

    def get(self, path):
        return json.loads(self.ask("GET", path))

    def list(self, path):
        return self.get(path)["items"]

    def make(self, path, thing):
        return json.loads(self.ask("POST", path, thing))

    def change(self, path, part):
        return json.loads(self.ask("PATCH", path, part, "application/merge-patch+json"))

    def make_once(self, path, thing, kind="application/json"):
        """It may be there already."""
        try:
            self.ask("POST", path, thing, kind)
        except Refused as refused:
            if refused.code != 409:
                raise

    def delete(self, path):
        try:
            self.ask("DELETE", path)
        except Refused as refused:
            if refused.code != 404:
                raise

    def is_there(self, path):
        try:
            self.ask("GET", path)
            return True
        except Refused as refused:
            if refused.code != 404:
                raise
            return False

    def is_ready(self):
        try:
            return self.ask("GET", "/readyz") == "ok"
        except (OSError, Refused, http.client.HTTPException):
            return False
