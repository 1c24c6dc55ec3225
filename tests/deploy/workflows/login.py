"""Logs in to an API server as deploy/ci/cluster-login lets kubectl and helm do, by the client library of Kubernetes.

usage: login.py DEPLOY_CI DIRECTORY

Both ends are here: GitHub's token service, which gives another token each time, and an API server with a certificate of its
own, which writes down whom it sees. Prints what it saw, as JSON.
"""

import base64
import json
import os
import ssl
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from kubernetes import client, config

scripts, directory = sys.argv[1:]
seen = {"asked": [], "tokens": []}


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Issuer(Handler):
    def do_GET(self):
        seen["asked"].append([self.path, self.headers["authorization"]])
        # Of any length: the base64 of one needs no, one or two signs of equality.
        claims = {"sub": "repo:team/rulebox:environment:staging" + "~" * len(seen["asked"]), "exp": int(time.time()) + 900}
        self.answer({"value": f"{part({'alg': 'RS256'})}.{part(claims)}.sign"})


class Cluster(Handler):
    def do_GET(self):
        seen["tokens"].append(self.headers["authorization"])
        self.answer({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": []})


def serve(handler, context=None):
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


key, certificate = f"{directory}/key.pem", f"{directory}/ca.pem"
subprocess.run(
    ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj", "/CN=here",
     "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
    check=True, capture_output=True)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
cluster, issuer = serve(Cluster, context), serve(Issuer)

os.environ.update({
    "RUNNER_TEMP": directory, "GITHUB_ENV": f"{directory}/env", "CLUSTER_SERVER": f"https://127.0.0.1:{cluster}",
    "CLUSTER_CA": open(certificate).read(), "ACTIONS_ID_TOKEN_REQUEST_URL": f"http://127.0.0.1:{issuer}/token?api-version=2.0",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "word of the run"})
subprocess.run([f"{scripts}/cluster-login"], check=True)
name, file = open(f"{directory}/env").read().strip().split("=", 1)
seen["name"], seen["mode"], seen["file"] = name, oct(os.stat(file).st_mode & 0o777), open(file).read()
for _ in range(3):
    config.load_kube_config(file)
    client.CoreV1Api().list_namespaced_pod("rulebox")
credential = subprocess.run([f"{scripts}/cluster-token", "rulebox"], check=True, capture_output=True, text=True).stdout
seen["credential"] = json.loads(credential)
seen["now"] = int(time.time())
print(json.dumps(seen))
