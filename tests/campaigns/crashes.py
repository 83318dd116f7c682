#!/usr/bin/env python3
"""Kills the serving process at random instants under load, and looks after each start for all that was answered.

Invariant: no revocation, no token and no refresh that was answered is lost, however often the process is killed.
"""

import argparse
import http.client
import random
import sys
import threading
import time

from installation import Installation, Person

LOST_ANSWER = (OSError, http.client.HTTPException, ValueError)
found_wrong = []


def wrong(text):
    found_wrong.append(text)
    print("# wrong:", text, flush=True)


class Client(threading.Thread):
    """Works until it is told to stop; an answer that is lost leaves the thing it was about unknown."""

    def __init__(self, installation):
        super().__init__(daemon=True)
        self.at, self.is_over, self.acknowledged = installation, threading.Event(), 0

    def run(self):
        while not self.is_over.is_set():
            try:
                self.step()
            except LOST_ANSWER:
                self.lose()
                time.sleep(0.02)
            except Exception as error:  # an answer that is wrong by itself
                wrong(repr(error))
                return

    def lose(self):
        pass


class Revoker(Client):
    """Makes keys and revokes them."""

    def __init__(self, installation):
        super().__init__(installation)
        self.revoked = []

    def step(self):
        key = self.at.new_key()
        code = self.at.verify(key["secret"])  # warm: from memory from here on
        if code != "valid" and not code.startswith("status"):
            wrong(f"a new key is {code}")
        self.at.management("DELETE", f"/v1/api-keys/{key['id']}")
        self.revoked.append(key["secret"])
        self.acknowledged += 1

    def check(self, newest):
        for secret in newest:
            if (code := self.at.verify(secret)) == "valid":
                wrong("a revoked key is valid again")
            elif code.startswith("status"):
                wrong(f"a revoked key is answered {code}")


class TokenRevoker(Client):
    """Gets tokens, and revokes every second one."""

    def __init__(self, installation):
        super().__init__(installation)
        self.revoked, self.live = [], []

    def step(self):
        token = self.at.token(self.at.robot, grant_type="client_credentials").json["access_token"]
        self.live.append((time.time(), token))
        self.acknowledged += 1
        if len(self.live) % 2:
            _, token = self.live.pop()
            answer = self.at.form("/oauth2/revoke", {"token": token}, basic=self.at.robot)
            if answer.status == 200:
                self.revoked.append(token)
                self.acknowledged += 1

    def check(self, newest):
        for token in newest:
            if self.is_active(token):
                wrong("a revoked token is active again")
        recent = [token for at, token in self.live if time.time() - at < 600]
        for token in recent[-20:]:
            if not self.is_active(token):
                wrong("a token that was given out is gone")

    def is_active(self, token):
        return self.at.form("/oauth2/introspect", {"token": token}, basic=self.at.server).json["active"]


class Refresher(Client):
    """A connection that refreshes; after a lost answer it begins a new one."""

    def __init__(self, installation, person):
        super().__init__(installation)
        self.person, self.token = person, None
        self.revoked = []

    def step(self):
        if self.token is None:
            self.token = self.person.connect()
        answer = self.at.token(self.at.tool, grant_type="refresh_token", refresh_token=self.token)
        if answer.status != 200:
            wrong(f"a refresh is answered {answer.status} {answer.body[:200]}")
            self.token = None
        else:
            self.token = answer.json["refresh_token"]
            self.acknowledged += 1

    def lose(self):
        self.token = None

    def check(self, _):
        if self.token is not None:
            self.step()


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--kills", type=int, default=200)
    arguments.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    arguments.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    arguments = arguments.parse_args()
    instants = random.Random(arguments.seed)
    totals = {"revocations of keys": 0, "tokens and their revocations": 0, "refreshes": 0}
    with Installation(arguments.database) as it:
        person, revoked = Person(it), ([], [])
        connection = None
        for number in range(1, arguments.kills + 1):
            clients = [Revoker(it), TokenRevoker(it), Refresher(it, person)]
            clients[2].token = connection
            [client.start() for client in clients]
            time.sleep(instants.uniform(0.05, 2.5))
            it.kill()
            [client.is_over.set() for client in clients]
            [client.join(60) for client in clients]
            it.start()
            for past, client in zip(revoked, clients):
                past.extend(client.revoked)
                client.check(client.revoked + instants.sample(past, min(20, len(past))))
            clients[2].check([])
            connection = clients[2].token
            for name, client in zip(totals, clients):
                totals[name] += client.acknowledged
            if number % 20 == 0:
                print(f"# {number} kills: {totals}", flush=True)
        for past, client in zip(revoked, clients):
            client.check(past)
    if not all(totals.values()):
        wrong("some client never got an answer")
    said = f"{arguments.kills} kills on {arguments.database}, seed {arguments.seed}: {totals}"
    print(f"FAIL {said}: {len(found_wrong)} wrong" if found_wrong else f"ok {said}, nothing lost")
    sys.exit(1 if found_wrong else 0)


main()
