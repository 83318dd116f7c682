#!/usr/bin/env python3
"""Uses the server in a loop and watches its memory, descriptors, threads and write-ahead log: flat once it is warm.

Warm is a third of the time. From then on the median of a tenth of the readings may grow by a tenth, and by 8 MB.
"""

import argparse
import http.client
import os
import statistics
import sys
import threading
import time

from installation import Installation, Person

LOST_ANSWER = (OSError, http.client.HTTPException, ValueError)


class Load(threading.Thread):
    def __init__(self, installation, step):
        super().__init__(daemon=True)
        self.at, self.step, self.requests, self.failed = installation, step, 0, []

    def run(self):
        while True:
            try:
                self.step(self.at)
                self.requests += 1
            except LOST_ANSWER as error:
                self.failed.append(repr(error))


def life_of_a_key(it):
    key = it.new_key()
    for _ in range(20):
        it.verify(key["secret"])
    it.management("DELETE", f"/v1/api-keys/{key['id']}")
    it.verify(key["secret"])
    it.verify("cs_sandbox_" + "0" * 50)


def life_of_a_token(it):
    token = it.token(it.robot, grant_type="client_credentials").json["access_token"]
    for _ in range(5):
        it.form("/oauth2/introspect", {"token": token}, basic=it.server)
    it.form("/oauth2/revoke", {"token": token}, basic=it.robot)


def connection(person):
    def step(it):
        token = person.connect()
        for _ in range(5):
            token = it.token(it.tool, grant_type="refresh_token", refresh_token=token).json["refresh_token"]
        person.get(f"/dev-centre/{it.organization}/api-keys")
        person.get("/account/applications")
        it.call("GET", "/v1/openapi.json")
    return step


def reading(it):
    status = dict(line.split(":", 1) for line in open(f"/proc/{it.process.pid}/status") if ":" in line)
    wal = f"{it.dir}/countersign.db-wal"
    return {
        "memory_kb": int(status["VmRSS"].split()[0]),
        "descriptors": len(os.listdir(f"/proc/{it.process.pid}/fd")),
        "threads": int(status["Threads"]),
        "wal_bytes": os.path.getsize(wal) if os.path.exists(wal) else 0,
    }


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--minutes", type=float, default=60)
    arguments.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    arguments = arguments.parse_args()
    with Installation(arguments.database) as it:
        steps = [life_of_a_key, life_of_a_token, connection(Person(it))]
        loads = [Load(it, step) for step in steps]
        [load.start() for load in loads]
        end, readings = time.time() + arguments.minutes * 60, []
        while time.time() < end:
            time.sleep(min(5, arguments.minutes))
            readings.append(reading(it))
            if len(readings) % 60 == 0:
                print("#", len(readings), readings[-1], sum(load.requests for load in loads), flush=True)
        requests, failed = sum(load.requests for load in loads), [error for load in loads for error in load.failed]
    warm = readings[len(readings) // 3:]
    tenth = max(1, len(warm) // 10)
    wrong = [f"{len(failed)} requests failed: {failed[:3]}"] if failed else []
    said = []
    for name, slack in (("memory_kb", 8192), ("descriptors", 10), ("threads", 2), ("wal_bytes", 8 << 20)):
        first, last = (statistics.median(one[name] for one in part) for part in (warm[:tenth], warm[-tenth:]))
        said.append(f"{name} {first:.0f} -> {last:.0f}")
        if last > first * 1.1 + slack:
            wrong.append(f"{name} grows from {first:.0f} to {last:.0f}")
    said = f"{requests} rounds in {arguments.minutes:g} minutes on {arguments.database}: " + ", ".join(said)
    print(f"FAIL {said}: {wrong}" if wrong else f"ok {said}")
    sys.exit(1 if wrong else 0)


main()
