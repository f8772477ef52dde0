#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Asking the API server: identities, conflicts, what is tried again, answers that nobody should
send, and kubeconfigs."""
import json
import os
import shutil
import ssl
import subprocess
import threading
import time

import cli
from apiserver import TOKEN, Refusal, running
from cli import Skip, case, main

CALL = os.environ["API_CALL"]
THING = "/apis/test/v1/things/one"
USAGE, DATA, BUSY, PERMISSION, TIMEOUT, IO, NOT_FOUND = -1, -2, -4, -5, -7, -9, -10


def call(*words, how=("pod",), api=None, patience=20000, env=None, within=()):
    """[(result, status, body or sentence)] of the calls."""
    if how == ("pod",):
        folder, env = (api.file("pod"), env) if env else api.pod()
        how = ("pod", folder)
    done = subprocess.run([*within, CALL, *how, str(patience), *words], env=cli.environment(**(env or {})),
                          timeout=60, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1) and done.stderr == "", done
    found = [line.split(" ", 2) for line in done.stdout.splitlines()]
    return [(int(result), int(status), json.loads(rest) if result == "0" and rest else rest)
            for result, status, rest in found]


def get(api, **more):
    return call("GET", THING, "", api=api, **more)[0]


def refuse(code, reason="Test", message="no", times=1, **headers):
    """Faults that answer so."""
    def fault(handler):
        handler.answer(code, {"kind": "Status", "message": message, "reason": reason}, **headers)
        return True
    return [fault] * times


def thing(**more):
    return json.dumps({"kind": "Thing", "metadata": {"name": "one"}, **more})


def with_api(function):
    def with_one():
        with running() as api:
            api.store(THING, None, json.loads(thing(colour="blue")))
            function(api)
    with_one.__name__ = function.__name__
    return case(with_one)


# ---- who we are ----

@with_api
def a_pod_uses_the_token_of_its_service_account(api):
    assert get(api)[2]["colour"] == "blue"
    api.tokens = {"another"}
    assert get(api)[:2] == (PERMISSION, 401)


@with_api
def a_kubeconfig_may_name_certificates_and_tokens_as_data_or_files(api):
    beside = {"client-certificate": "client.crt", "client-key": api.file("client.key")}
    with open(api.file("tokens"), "w", encoding="utf-8") as file:
        file.write(TOKEN)
    for user in (None, beside, {"token": TOKEN}, {"tokenFile": "tokens"}):
        assert get(api, how=("kubeconfig", api.kubeconfig(user=user)))[2]["colour"] == "blue", user
    path = api.kubeconfig(user={"token": TOKEN}, cluster={
        "certificate-authority-data": None, "certificate-authority": "ca.crt"})
    assert get(api, how=("kubeconfig", path))[0] == 0
    # As YAML.
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"current-context: a\ncontexts:\n- name: a\n  context: {{cluster: a, user: a}}\n"
                   f"clusters:\n- cluster:\n    server: \"{api.url()}/\"\n"
                   f"    certificate-authority: ca.crt\n  name: a\n"
                   f"users:\n- name: a\n  user:\n    token: {TOKEN} # mine\n")
    assert get(api, how=("kubeconfig", path))[0] == 0


@with_api
def what_a_kubeconfig_cannot_do_here_is_named(api):
    for cluster, user, says in (
            (None, {"exec": {"command": "aws"}}, "exec"),
            (None, {"auth-provider": {"name": "gcp"}}, "auth-provider"),
            (None, {"username": "me", "password": "secret"}, "username"),
            (None, {"client-certificate": "client.crt"}, "client-key"),
            (None, {"client-certificate-data": "%%", "client-key-data": "AA=="}, "base64"),
            ({"insecure-skip-tls-verify": True}, None, "insecure-skip-tls-verify"),
            ({"proxy-url": "http://proxy"}, None, "proxy-url"),
            ({"server": "http://127.0.0.1:1"}, None, "https"),
            ({"server": "https://me@127.0.0.1"}, None, "https"),
            ({"server": ["https://127.0.0.1"]}, None, "server")):
        result, status, sentence = get(api, how=("kubeconfig", api.kubeconfig(cluster, user)))
        assert result in (USAGE, DATA) and status == 0 and says in sentence, (says, sentence)
        assert "secret" not in sentence
    for more, says in (({"current-context": "gone"}, "current-context"), ({"clusters": 7}, "cluster"),
                       ({"users": []}, "user")):
        result, _, sentence = get(api, how=("kubeconfig", api.kubeconfig(**more)))
        assert result == DATA and says in sentence, sentence
    for text in ("{", "a: b: c", "- &a [*a]", "", "\x00"):
        with open(api.file("config"), "w", encoding="utf-8") as file:
            file.write(text)
        assert get(api, how=("kubeconfig", api.file("config")))[0] == DATA, text
    assert not api.requests


@with_api
def nobody_else_s_server_is_told_the_token(api):
    folder, env = api.pod()
    shutil.copy(api.file("stranger.crt"), folder + "/ca.crt")
    result, status, sentence = get(api, env=env)
    assert result == IO and status == 0 and "certificate" in sentence, sentence
    assert get(api, how=("kubeconfig", api.kubeconfig({"server": f"https://localhost:{api.port}"})),
               )[0] == IO
    assert not api.requests
    # Nor is one it redirects to.
    api.faults = refuse(307, Location="https://127.0.0.1:1/")
    assert get(api)[:2] == (IO, 307)


@with_api
def what_the_system_trusts_does_not_count_beside_the_cluster_s_authority(api):
    folder, env = api.pod()
    shutil.copy(api.file("stranger.crt"), folder + "/ca.crt")
    trusted = api.file("trusted")
    os.mkdir(trusted)
    shutil.copy(api.file("ca.crt"), trusted + "/ca.pem")
    subprocess.run(["openssl", "rehash", trusted], check=True, timeout=60)
    within = ("unshare", "-m", "sh", "-ec", 'mount --bind "$0" /etc/ssl/certs; exec "$@"', trusted)
    tried = subprocess.run([*within, "true"], capture_output=True, text=True, timeout=60, check=False)
    if tried.returncode:
        raise Skip(f"no mount namespaces: {tried.stderr.strip()}")
    result, status, sentence = get(api, env=env, within=within)
    assert result == IO and status == 0 and "certificate" in sentence, sentence
    assert not api.requests


@with_api
def a_new_token_is_taken_from_the_file(api):
    _, env = api.pod("expired")

    def renew(handler):
        api.pod()
        return False
    api.faults = [renew]
    assert get(api, env=env)[0] == 0
    assert len(api.requests) == 2, api.requests


# ---- objects ----

@with_api
def objects_are_made_changed_and_removed_on_one_connection(api):
    two = THING.replace("one", "two")
    body = json.dumps({"metadata": {"name": "two"}, "size": 1})
    made, again, patched, read, gone, missing = call(
        "POST", THING.rsplit("/", 1)[0], body, "POST", THING.rsplit("/", 1)[0], body,
        "PATCH", two, '{"size": 2, "more": {"a": null}}', "GET", two, "", "DELETE", two, "",
        "GET", two, "", api=api)
    assert made[1] == 201 and again[:2] == (BUSY, 409) and "already exists" in again[2]
    assert patched[2]["size"] == 2 and read[2]["size"] == 2 and gone[0] == 0
    assert missing[:2] == (NOT_FOUND, 404)
    assert api.server.connections == 1


@with_api
def a_conflict_is_read_again_and_tried_again(api):
    stale = dict(api.objects[THING], size=1)
    api.store(THING, api.objects[THING], {"metadata": {"name": "one"}, "colour": "red"})
    assert call("PUT", THING, json.dumps(stale), api=api)[0][:2] == (BUSY, 409)

    def somebody_else(handler):
        api.store(THING, api.objects[THING], dict(api.objects[THING], other=handler.command))
        return False
    api.faults = [lambda handler: False, somebody_else, lambda handler: False, somebody_else]
    assert call("EDIT", THING, '{"size": 3}', api=api)[0][0] == 0
    found = api.objects[THING]
    assert (found["size"], found["other"], found["colour"]) == (3, "PUT", "red"), found
    # For ever would be too long.
    api.faults = [lambda handler: False, somebody_else] * 10
    assert call("EDIT", THING, '{"size": 4}', api=api)[0][0] == BUSY


# ---- what is tried again ----

@with_api
def a_busy_server_is_asked_again_when_it_says(api):
    began = time.monotonic()
    api.faults = refuse(429, Retry_After="1") + refuse(503) + refuse(500)
    assert get(api)[0] == 0 and len(api.requests) == 4
    assert time.monotonic() - began >= 1
    # Not where that would be too late, and the sentence is the server's, made harmless.
    api.faults = refuse(429, message="slow\x1b[31m down", Retry_After="600")
    result, status, sentence = get(api)
    assert (result, status) == (USAGE, 429) and "slow?[31m down" in sentence, sentence
    assert len(api.requests) == 5


@with_api
def a_creation_is_not_repeated_where_it_may_have_happened(api):
    parts = ["POST", THING.rsplit("/", 1)[0], json.dumps({"metadata": {"name": "two"}})]
    api.faults = refuse(500)
    assert call(*parts, api=api)[0][:2] == (IO, 500)
    api.faults = refuse(429)
    assert call(*parts, api=api)[0][1] == 201
    assert len(api.requests) == 3


@with_api
def lost_connections_and_restarts_are_outlived(api):
    def hang_up(handler):
        handler.connection.close()
        handler.close_connection = True
        return True
    api.faults = [hang_up] * 2
    assert get(api)[0] == 0 and len(api.requests) >= 3
    api.stop()
    threading.Timer(0.5, api.start).start()
    assert get(api)[0] == 0


@with_api
def a_server_that_is_away_is_given_up_in_time(api):
    api.stop()
    result, status, sentence = get(api, patience=700)
    assert result == IO and status == 0 and "connect" in sentence, sentence
    api.start()

    def sleep(handler):
        api.over.wait(30)
        return True
    api.over = threading.Event()
    api.faults = [sleep]
    assert get(api, patience=700)[0] == TIMEOUT
    # Byte by byte is no way to have more time.
    api.faults = [lambda handler: drip(handler, api)]
    assert get(api, patience=700)[0] == TIMEOUT
    api.over.set()


def drip(handler, api):
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    while not api.over.wait(0.02):
        try:
            handler.wfile.write(b" ")
        except (OSError, ssl.SSLError):
            break
    handler.close_connection = True
    return True


# ---- answers that nobody should send ----

@with_api
def hostile_answers_are_bounded_errors(api):
    def send(code, body, **headers):
        def fault(handler):
            handler.answer(code, body, **headers)
            return True
        return fault

    def raw(data):
        def fault(handler):
            handler.close_connection = True
            try:
                handler.wfile.write(data)
                for _ in range(200):
                    handler.wfile.write(data[-65536:])
            except (OSError, ssl.SSLError):
                pass
            return True
        return fault
    ok = b"HTTP/1.1 200 OK\r\n"
    for fault, wanted in (
            (send(200, b"not JSON"), {DATA}), (send(200, b"[1]"), {DATA}),
            (send(200, b'{"a": 1, "a": 2}'), {DATA}), (send(200, b'{"a": "\xff"}'), {DATA}),
            (send(200, b'{"a":' * 100000), {DATA}), (send(200, b"{} {}"), {DATA}),
            (send(200, b"{" + b" " * (9 << 20) + b"}"), {DATA}),
            (send(200, b"\x1f\x8b\x08\x00", Content_Encoding="gzip"), {DATA}),
            (raw(ok + b"Transfer-Encoding: chunked\r\n\r\n" + b"10000\r\n" + b" " * 65536), {DATA, IO}),
            (raw(ok + b"X: " + b"y" * 65536), {DATA, IO}),
            (raw(ok + b"".join(b"X%d: y\r\n" % i for i in range(20000))), {DATA, IO}),
            (raw(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"), {DATA, IO}),
            (raw(b"HTTP/9.9 what\r\n\r\n"), {DATA, IO}), (raw(b"\x00" * 65536), {DATA, IO}),
            (send(418, b"{}"), {USAGE}), (send(600, b"\x1b[2J"), {IO})):
        api.faults = [fault] * 20
        result, _, sentence = get(api, patience=1500)
        assert result in wanted, (result, sentence)
        assert "\x1b" not in sentence, sentence
    # An empty success is one.
    api.faults = [send(200, b"")]
    assert get(api) == (0, 200, "")


@with_api
def a_refusal_names_what_was_asked_and_what_was_said(api):
    def check(path, old, new):
        raise Refusal(422, "Invalid", "spec.size: must be even")
    api.check = check
    result, status, sentence = call("PATCH", THING, "{}", api=api)[0]
    assert (result, status) == (USAGE, 422) and THING in sentence and "must be even" in sentence


if __name__ == "__main__":
    main()
