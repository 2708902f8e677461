#!/usr/bin/python3
"""A draind that only talks: a Varlink server over a unix socket whose replies are scripted.

As a module: MockDaemon(path).on("Drain", handler); a handler takes a Call and replies when and what it likes.
As a program: mock-daemon.py SOCKET plays a small world in which drains take their time, for looking at drainctl.
"""

import json
import os
import socket
import sys
import threading
import time

INTERFACE = "io.draind.Control."


class Call:
    def __init__(self, connection, method, parameters, more, closing):
        self.connection, self.method, self.parameters, self.more = connection, method, parameters, more
        self.closing = closing  # an Event: the daemon ends

    def raw(self, data):
        self.connection.sendall(data)

    def send(self, message):
        self.raw(json.dumps(message).encode() + b"\0")

    def reply(self, parameters=None, continues=False):
        self.send({"parameters": parameters or {}, **({"continues": True} if continues else {})})

    def error(self, name, **parameters):
        self.send({"error": name if "." in name else INTERFACE + name, "parameters": parameters})

    def hang(self, seconds=60.0):
        """Says nothing, until the client is gone or the daemon ends."""
        self.connection.settimeout(0.05)
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.closing.is_set():
            try:
                if not self.connection.recv(1):
                    return
            except TimeoutError:
                continue
            except OSError:
                return

    def close(self):
        self.connection.shutdown(socket.SHUT_RDWR)


class MockDaemon:
    def __init__(self, path):
        self.path, self.handlers, self.calls = path, {}, []
        self.closing = threading.Event()
        self.changed = threading.Condition()
        self.connections = []
        self.listener = None
        self.listen()

    def listen(self):
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen(64)
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def on(self, method, handler):
        """handler: a function of a Call, or the parameters of the one reply."""
        self.handlers[method] = handler if callable(handler) else lambda call: call.reply(handler)
        return self

    def accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        pending = b""
        try:
            while True:
                while b"\0" not in pending:
                    data = connection.recv(65536)
                    if not data:
                        return
                    pending += data
                text, pending = pending.split(b"\0", 1)
                self.dispatch(connection, json.loads(text))
        except OSError:
            pass
        finally:
            connection.close()

    def dispatch(self, connection, message):
        name = message["method"].removeprefix(INTERFACE)
        parameters = message.get("parameters") or {}
        with self.changed:
            self.calls.append((name, parameters, bool(message.get("more"))))
            self.changed.notify_all()
        call = Call(connection, name, parameters, bool(message.get("more")), self.closing)
        handler = self.handlers.get(name)
        if handler:
            handler(call)
        else:
            call.error("org.varlink.service.MethodNotFound", method=message["method"])

    def wait_for_call(self, name, seconds=10.0):
        with self.changed:
            return self.changed.wait_for(lambda: any(call[0] == name for call in self.calls), seconds)

    def called(self, name):
        """The parameters of each call of this method."""
        return [parameters for method, parameters, _ in self.calls if method == name]

    def stop_listening(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        if os.path.exists(self.path):
            os.unlink(self.path)

    def end(self):
        self.closing.set()
        try:
            self.stop_listening()
        except OSError:
            pass
        for connection in self.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def service(name, state="running", **more):
    return {"name": name, "state": state, "detail": more.pop("detail", state), "since": 1_000_000, "ready": state == "running",
            "wanted": True, "nRestarts": 0, "needsRestart": False, "requires": [],
            "origin": f"/etc/draind/draind.conf:{len(name)}", **more}


def cause(text='client drainctl (pid 77, uid 0): "update"'):
    return {"kind": "client", "pid": 77, "uid": 0, "command": "drainctl", "reason": "update", "text": text}


def operation(number=3, state="stopping", services=("web",), **more):
    return {"id": number, "state": state, "until": "stopped", "all": False, "restarts": False, "exits": False,
            "rolledBack": False, "cause": cause(), "requested": 5_000_000, "deadline": 35_000_000, "leftUsec": 30_000_000,
            "budgetUsec": 30_000_000, "usedUsec": 0, "services": list(services), "nKilled": 0, "nUnkillable": 0, **more}


def manager(**more):
    return {"version": "0.1.0", "pid": 812, "keeperPid": 811, "generation": 1, "configuration": ["/etc/draind/draind.conf"],
            "now": 3_726_000_000, "graceUsec": 30_000_000, "draining": False, "nServices": 4, "nRunning": 3, "logDropped": 0,
            **more}


def plan_service(name, at, wish, granted, cut=False, after=()):
    names = ("withdrawAt", "quiesceAt", "heldAt", "stopHookAt", "terminateAt", "killAt", "endAt")
    return {"name": name, **{key: int(value * 1e6) for key, value in zip(names, at)}, "wishUsec": int(wish * 1e6),
            "grantedUsec": int(granted * 1e6), "cut": cut, "after": list(after)}


def demo_plan():
    return {"budgetUsec": 30_000_000, "outerUsec": 20_000_000, "endUsec": 24_000_000, "wishUsec": 37_000_000, "services": [
        plan_service("web", (0, 5, 8, 8, 8, 14, 16), 16, 16),
        plan_service("worker", (0, 0, 2, 2, 4, 12, 14), 14, 14),
        plan_service("app", (8, 8, 9, 16, 17, 20, 21.5), 14, 8, True, ["web", "worker"]),
        plan_service("db", (9, 9, 9, 21.5, 21.5, 23, 24), 10, 2.5, True, ["app"])],
        "warnings": ["db: a drain may take 37s, and the unit's TimeoutStopSec= allows only 20s.",
                     "app: does not get all it wishes for."]}


def demo_processes():
    return [{"pid": 4711, "parent": 811, "session": 4711, "state": "S", "command": "nginx: master process", "escapee": False,
             "leader": True},
            {"pid": 4712, "parent": 4711, "session": 4711, "state": "S", "command": "nginx: worker process", "escapee": False,
             "leader": False},
            {"pid": 4713, "parent": 4712, "session": 4711, "state": "D", "command": "/usr/lib/cgi-bin/report --year 2024",
             "escapee": False, "leader": False},
            {"pid": 4714, "parent": 4711, "session": 4711, "state": "S", "command": "nginx: worker process", "escapee": False,
             "leader": False},
            {"pid": 4800, "parent": 811, "session": 4800, "state": "S", "command": "/usr/bin/backgrounded --daemon",
             "escapee": True, "leader": False}]


DEMO_STEPS = (
    ("web", "withdraw", 5.0, None, None), ("worker", "withdraw", 5.0, "web", None), ("app", "withdraw", None, "web", None),
    ("db", "withdraw", None, "app", None), ("web", "quiesce", 3.0, "2 connections on :8080", None),
    ("worker", "terminate", 8.0, None, "TERM"), ("web", "terminate", 6.0, None, "TERM"), ("worker", None, None, None, None),
    ("web", "kill", 2.0, None, None), ("web", None, None, None, "killed"), ("app", "quiesce", 1.0, None, None),
    ("app", "terminate", 4.0, None, "TERM"), ("app", None, None, None, None), ("db", "terminate", 5.0, None, "INT@tree"),
    ("db", None, None, None, None))


def demo_drain(call):
    names, left, killed = ["web", "worker", "app", "db"], 30.0, 0

    def now(state="stopping"):
        return operation(3, state, names, all=True, leftUsec=int(left * 1e6), nKilled=killed)
    call.reply({"operation": now(), "services": [service(name, "draining", phase="withdraw", leftUsec=5_000_000,
                                                         requires=[]) for name in names],
                "joined": False, "done": False}, call.more)
    if not call.more:
        return
    for name, phase, seconds, waits, rung in DEMO_STEPS:
        time.sleep(1.0)
        left -= 1.0
        if phase:
            told = service(name, "draining", phase=phase, waitsFor=waits, rung=rung, nProcesses=3,
                           **({"leftUsec": int(seconds * 1e6)} if seconds else {}))
        else:
            killed += rung == "killed"
            told = service(name, "stopped", result=rung or "success", drainUsedUsec=int((30 - left) * 1e6),
                           drainBudgetUsec=30_000_000, exitSignal="KILL" if rung else "TERM")
        call.reply({"operation": now(), "services": [told], "joined": False, "done": False}, True)
    call.reply({"operation": now("stopped"), "services": [], "joined": False, "done": True})


def demo_services():
    return [service("app", mainPid=4720, statusText="Serving 12 clients", nProcesses=2, requires=["db"], since=3_000_000_000),
            service("db", mainPid=4730, since=120_000_000, needsRestart=True),
            service("reporter", "stopped", result="exit-code", exitCode=3, since=3_700_000_000, nRestarts=4),
            service("web", "draining", phase="terminate", mainPid=4711, leftUsec=5_200_000, waitsFor="3 processes",
                    rung="TERM", requires=["app"], operation=3, cause=cause(), hops=1, drainUsedUsec=3_100_000,
                    drainBudgetUsec=16_000_000, since=3_722_900_000, nProcesses=3, exitCode=0)]


def demo_list(call):
    wanted = call.parameters.get("services")
    services = [one for one in demo_services() if not wanted or one["name"] in wanted]
    for name in wanted or []:
        if name not in [one["name"] for one in services]:
            call.error("NoSuchService", service=name, suggestion="web" if name.startswith("w") else None)
            return
    call.reply({"services": services, "operations": [operation(3, leftUsec=26_900_000)]})


def demo(path):
    daemon = MockDaemon(path)
    daemon.on("List", demo_list)
    daemon.on("GetManager", manager(draining=True, outerGraceUsec=90_000_000, generation=2))
    daemon.on("Drain", demo_drain)
    daemon.on("Wait", demo_drain)
    daemon.on("Plan", demo_plan())
    daemon.on("Tree", {"processes": demo_processes()})
    daemon.on("Escalate", {"operation": operation()})
    daemon.on("Resume", lambda call: call.error("Refused", text="web got its first signal 3s ago; from there on a drain "
                                                "cannot be taken back."))
    daemon.on("Reload", {"added": ["cache"], "removed": [], "changed": ["app", "web"], "needRestart": ["web"]})
    daemon.on("Events", {"events": [
        {"sequence": 1, "time": 1, "realtime": 1732772406123456, "kind": "service", "service": "web", "from": "running",
         "to": "draining", "text": "running -> draining on drain."},
        {"sequence": 2, "time": 2, "realtime": 1732772407223456, "kind": "operation", "operation": 3,
         "text": "Operation 3 began: client drainctl (pid 77, uid 0)."}]})
    daemon.on("Logs", {"lines": [{"realtime": 1732772406123456, "service": "web", "text": "GET / 200 \u001b[32mok\u001b[0m"},
                                 {"realtime": 1732772406123456, "service": "app", "text": "evil \u001b]0;title\u0007"}]})
    print(f"DRAIND_SOCKET={path}", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        daemon.end()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    demo(sys.argv[1])
