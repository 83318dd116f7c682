"""An installation of the campaign's own, in a temporary folder, set up by the commands of the README: started, killed, asked."""

import base64
import hashlib
import html
import http.client
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.parse

BIN = os.path.abspath(os.environ.get("COUNTERSIGN_BIN", "target/release/countersign"))
POSTGRES_CTL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support", "postgres.sh")
FORM = "application/x-www-form-urlencoded"
REDIRECT = "http://127.0.0.1:8976/callback"


def free_port():
    """Below the range from which the kernel picks ports for outgoing connections."""
    while True:
        port = 20_000 + secrets.randbelow(10_000)
        with socket.socket() as one:
            try:
                one.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


class Answer:
    def __init__(self, response):
        self.status, self.body = response.status, response.read().decode("utf-8", "replace")
        self.location = response.getheader("Location") or ""
        self.cookies = [value.split(";")[0] for name, value in response.getheaders() if name.lower() == "set-cookie"]

    @property
    def json(self):
        return json.loads(self.body)

    def hidden(self, name):
        found = re.search(rf'name="{name}" value="([^"]*)"', self.body)
        return html.unescape(found[1]) if found else ""


class Installation:
    """`with Installation("sqlite") as it`: set up and serving. `info` has what its clients need."""

    def __init__(self, database):
        self.dir, self.kind, self.process = tempfile.mkdtemp(prefix="countersign-campaign-"), database, None
        os.chmod(self.dir, 0o711)
        self.cluster, self.port = os.path.join(self.dir, "postgres"), free_port()
        self.log = open(os.path.join(self.dir, "log"), "ab")
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("COUNTERSIGN_")}

    def __enter__(self):
        if self.kind == "postgres":
            # fsync stays on: what PostgreSQL has answered is on the disk
            subprocess.run([POSTGRES_CTL, "create", self.cluster, str(free_port())], check=True)
            url = subprocess.run([POSTGRES_CTL, "start", self.cluster], check=True, capture_output=True, text=True).stdout.strip()
        else:
            url = f"sqlite:{self.dir}/countersign.db"
        self.env.update({
            "COUNTERSIGN_DATABASE_URL": url,
            "COUNTERSIGN_SECRET_KEY_FILE": f"{self.dir}/secret.key",
            "COUNTERSIGN_SERVER_LISTEN": f"127.0.0.1:{self.port}",
            "COUNTERSIGN_LOGS_LEVEL": "warn",
            # the clients are to be limited by the machine alone
            **{f"COUNTERSIGN_LIMITS_{name}": "1000000/1m" for name in ("MANAGEMENT", "SANDBOX", "WHOAMI")},
        })
        self.set_up()
        return self

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.stop()
        if self.kind == "postgres":
            subprocess.run([POSTGRES_CTL, "destroy", self.cluster], check=False)
        shutil.rmtree(self.dir, ignore_errors=True)

    def command(self, *arguments, stdin=None):
        done = subprocess.run([BIN, *arguments], input=stdin, capture_output=True, text=True, env=self.env, cwd=self.dir)
        if done.returncode != 0:
            raise RuntimeError(f"{arguments}: {done.stdout}{done.stderr}")
        return done.stdout

    def set_up(self):
        self.command("migrate")
        self.password = secrets.token_hex(12)
        self.command("user", "create", "--email", "ada@acme.example", "--name", "Ada", "--organization", "Acme", "--password-stdin",
                     stdin=self.password + "\n")
        server = self.command("resource-server", "create", "--name", "API", "--enforces", "all", "--quiet").strip()
        self.server = tuple(server.split(":", 1))
        self.operator = re.search(r"cs_ot_\w+", self.command("operator", "token", "create", "--name", "campaign"))[0]
        self.start()
        self.organization = self.management("GET", "/v1/organizations?name=Acme", organization=None).json["data"][0]["id"]
        self.owner = self.management("GET", "/v1/members").json["data"][0]["id"]
        self.workspace = self.management("GET", "/v1/workspaces").json["data"][0]["id"]
        own = self.management("POST", "/v1/applications", {"name": "Robot", "environment": "sandbox", "scopes": ["read"],
                              "grants": ["client_credentials"], "role": "member", "access_token_format": "opaque"}).json
        people = self.management("POST", "/v1/applications", {"name": "Tool", "environment": "sandbox", "scopes": ["read"],
                                 "redirect_uris": [REDIRECT]}).json
        self.robot, self.tool = (own["id"], own["client_secret"]), (people["id"], people["client_secret"])

    def start(self):
        self.process = subprocess.Popen([BIN, "serve"], stdout=self.log, stderr=self.log, env=self.env, cwd=self.dir)
        for _ in range(600):
            try:
                if self.call("GET", "/readyz").status == 200:
                    return
            except OSError:
                pass
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError("it does not start: " + open(self.log.name).read()[-600:])

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.terminate()
        self.process.wait(30)

    # --- requests: OSError or http.client.HTTPException when no whole answer came

    def call(self, method, path, body=None, headers=()):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, dict(headers))
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def form(self, path, fields, basic=None, headers=()):
        named = {"Content-Type": FORM, **dict(headers), **({"Authorization": basic_of(basic)} if basic else {})}
        return self.call("POST", path, urllib.parse.urlencode(fields), named)

    def management(self, method, path, value=None, organization=""):
        if organization is not None:
            path += ("&" if "?" in path else "?") + "organization=" + (organization or self.organization)
        headers = {"Authorization": "Bearer " + self.operator, **({"Content-Type": "application/json"} if value is not None else {})}
        answer = self.call(method, path, json.dumps(value) if value is not None else None, headers)
        if answer.status >= 500:
            raise OSError(f"{path}: {answer.status}")
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {answer.body}")
        return answer

    def verify(self, credential):
        answer = self.call("POST", "/v1/verify", json.dumps({"credential": credential}),
                           {"Authorization": basic_of(self.server), "Content-Type": "application/json"})
        return answer.json["code"] if answer.status == 200 else f"status {answer.status}"

    def new_key(self):
        return self.management("POST", "/v1/api-keys", {
            "name": secrets.token_hex(6), "environment": "sandbox", "scope": "workspaces", "permission_level": "full", "expires_in_days": 30,
            "owner": self.owner, "workspaces": [self.workspace]}).json

    def token(self, client, **fields):
        answer = self.form("/oauth2/token", fields, basic=client)
        if answer.status >= 500:
            raise OSError(f"/oauth2/token: {answer.status}")
        return answer


class Person:
    """Signed in, connects the application by the authorization code flow."""

    def __init__(self, installation):
        self.at, self.cookies = installation, {}
        page = self.get("/login")
        self.post("/login", {"csrf": page.hidden("csrf"), "email": "ada@acme.example", "password": installation.password})

    def get(self, path):
        return self.keep(self.at.call("GET", path, headers=self.headers()))

    def post(self, path, fields):
        return self.keep(self.at.form(path, fields, headers={**self.headers(), "Origin": f"http://127.0.0.1:{self.at.port}"}))

    def headers(self):
        return {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())} if self.cookies else {}

    def keep(self, answer):
        self.cookies.update(cookie.split("=", 1) for cookie in answer.cookies)
        return answer

    def connect(self):
        """A refresh token."""
        verifier = secrets.token_urlsafe(40)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        path = "/oauth2/authorize?" + urllib.parse.urlencode({
            "response_type": "code", "client_id": self.at.tool[0], "redirect_uri": REDIRECT, "scope": "read", "state": "s",
            "code_challenge": challenge, "code_challenge_method": "S256"})
        page = self.get(path)
        if page.status == 200:
            fields = {name: page.hidden(name) for name in re.findall(r'type="hidden" name="([^"]+)"', page.body)}
            page = self.post(path, {**fields, "workspace": "all", "decision": "allow"})
        code = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(page.location).query)).get("code", "")
        answer = self.at.token(self.at.tool, grant_type="authorization_code", code=code, redirect_uri=REDIRECT, code_verifier=verifier)
        if max(page.status, answer.status) >= 500:
            raise OSError(f"not connected: {page.status} {answer.status}")
        if answer.status != 200:
            raise RuntimeError(f"not connected: {page.status} {page.location} {page.body[-2000:]} {answer.body}")
        return answer.json["refresh_token"]


def basic_of(pair):
    return "Basic " + base64.b64encode(":".join(pair).encode()).decode()
