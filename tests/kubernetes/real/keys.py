# SPDX-License-Identifier: Apache-2.0
"""Certificates of a cluster that lives for a minute: one authority, one for each who talks, and the key that
signs service accounts' tokens. Made by openssl."""
import json
import os
import subprocess


class Keys:
    def __init__(self, where, server):
        self.where, self.server = where, server
        os.makedirs(where, mode=0o700)
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                     "-keyout", "ca.key", "-out", "ca.crt", "-days", "2", "-subj", "/CN=check",
                     "-addext", "keyUsage=critical,keyCertSign,digitalSignature")
        self.openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "accounts.key")

    def openssl(self, *words):
        done = subprocess.run(["openssl", *words], cwd=self.where, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, check=False)
        assert done.returncode == 0, f"openssl {words[0]}: {done.stderr}"

    def path(self, name):
        return os.path.join(self.where, name)

    def issue(self, name, person, group=None, addresses=()):
        """NAME.key and NAME.crt; returns both paths."""
        lines = ["basicConstraints=CA:FALSE", "keyUsage=critical,digitalSignature",
                 "extendedKeyUsage=clientAuth,serverAuth", "subjectKeyIdentifier=hash",
                 "authorityKeyIdentifier=keyid"]
        if addresses:
            lines.append("subjectAltName=" + ",".join(addresses))
        with open(self.path(name + ".ext"), "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        subject = f"/O={group}/CN={person}" if group else f"/CN={person}"
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                     "-keyout", name + ".key", "-out", name + ".csr", "-subj", subject)
        self.openssl("x509", "-req", "-in", name + ".csr", "-CA", "ca.crt", "-CAkey", "ca.key",
                     "-CAcreateserial", "-out", name + ".crt", "-days", "2", "-extfile", name + ".ext")
        return self.path(name + ".crt"), self.path(name + ".key")

    def kubeconfig(self, name, person, group=None):
        """NAME.kubeconfig for that person, with a certificate."""
        certificate, key = self.issue(name, person, group)
        return self.write_kubeconfig(name, {"client-certificate": certificate, "client-key": key})

    def write_kubeconfig(self, name, user):
        """JSON, which is YAML too."""
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": "check",
            "clusters": [{"name": "check", "cluster": {"server": self.server,
                                                       "certificate-authority": self.path("ca.crt")}}],
            "users": [{"name": "check", "user": user}],
            "contexts": [{"name": "check", "context": {"cluster": "check", "user": "check"}}]}
        with open(self.path(name + ".kubeconfig"), "w", encoding="utf-8") as file:
            json.dump(config, file, indent=1)
        return self.path(name + ".kubeconfig")
