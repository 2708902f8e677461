"""draind with real processes: what the tests of this folder share.

A test is a function test_…(w), w being its own World: a folder, and the daemons that it starts in it. Services are played
by tests/lib/actor.c, which says what its words mean. Nothing here sleeps to wait for something: see until()."""

import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from tap import Tap, default_signals  # noqa: E402

PATIENCE = 45.0
IS_ROOT = os.geteuid() == 0
PR_SET_CHILD_SUBREAPER = 36
NOT_OURS = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "XDG_RUNTIME_DIR", "JOURNAL_STREAM", "LISTEN_FDS",
            "LISTEN_PID", "INVOCATION_ID", "DRAIND_SOCKET")


class Skip(Exception):
    """What the test needs is not to be had here."""


def eq(found, wanted, what=""):
    assert found == wanted, f"{what or 'value'}: {found!r} instead of {wanted!r}"


def until(condition, what, patience=PATIENCE):
    """Polls what cannot be waited for; returns what the condition gave."""
    deadline = time.monotonic() + patience
    while not (value := condition()):
        assert time.monotonic() < deadline, f"in {patience} s there was no {what}"
        time.sleep(0.003)
    return value


def boottime():
    """Microseconds, as stamps and deadlines have them."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


# --- /proc ---

def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def descendants(pid):
    found = []
    for child in children(pid):
        found += [child, *descendants(child)]
    return found


def comm(pid):
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().rstrip("\n")
    except OSError:
        return ""


def process_state(pid):
    """The letter of /proc/PID/stat, "" when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0]
    except OSError:
        return ""


def is_core(pid):
    """A service has that name as well until it executes its program; but it is in the core's group, or in a session of
    its own."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            name, rest = file.read().rsplit(")", 1)
    except OSError:
        return False
    state, _, group, session = rest.split()[:4]
    return name.endswith("(draind-core") and state not in "ZX" and int(group) == pid != int(session)


def is_alive(pid):
    return process_state(pid) not in ("", "Z", "X")


def n_fds(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def marked(needle):
    """The processes that have this in their environment."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                if needle.encode() + b"\0" in file.read():
                    found.append(int(pid))
        except OSError:
            pass
    return found


# --- configuration ---

def quote(word):
    word = word.replace("%", "%%").replace("$", "$$")
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' if re.search(r"[\s\"';\\]", word) or not word else word


class Stamp:
    def __init__(self, line):
        usec, self.label, pid, self.text = line.split(" ", 3)
        self.usec, self.pid = int(usec), int(pid)

    def __repr__(self):
        return f"{self.usec} {self.label} {self.pid} {self.text}"


class Control:
    """A client of the control socket: JSON objects that end with a NUL."""

    INTERFACE = "io.draind.Control."

    def __init__(self, path, patience=PATIENCE):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(patience)
        self.socket.connect(path)
        self.buffer = b""

    def send(self, method, parameters=None, **flags):
        message = {"method": method if "." in method else self.INTERFACE + method, "parameters": parameters or {}, **flags}
        self.socket.sendall(json.dumps(message).encode() + b"\0")

    def receive(self):
        """The next reply, whole; None when the other side has hung up."""
        while b"\0" not in self.buffer:
            piece = self.socket.recv(65536)
            if not piece:
                return None
            self.buffer += piece
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, /, **parameters):
        """The parameters of the reply; an error is an AssertionError."""
        reply = self.ask(method, **parameters)
        assert "error" not in reply, f"{method}: {reply}"
        return reply["parameters"]

    def ask(self, method, /, **parameters):
        self.send(method, parameters)
        reply = self.receive()
        assert reply is not None, f"{method}: no reply"
        return reply

    def stream(self, method, /, **parameters):
        """The parameters of every reply, to the last."""
        self.send(method, parameters, more=True)
        while True:
            reply = self.receive()
            assert reply is not None, f"{method}: hung up"
            assert "error" not in reply, f"{method}: {reply}"
            yield reply["parameters"]
            if not reply.get("continues"):
                return

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Daemon:
    """One draind. Its log is JSON, where the configuration does not say otherwise."""

    def __init__(self, world, arguments, wrap=(), environment=None, number=0, **options):
        self.world = world
        self.stamps_path = world.folder / f"stamps{number}"
        self.log_path = world.folder / f"log{number}"
        self.stamps_path.touch()
        self.stamps_path.chmod(0o666)
        self.mark = f"STAMPS={self.stamps_path}"
        variables = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
        # The core leaves its memory to the kernel when it ends.
        variables["ASAN_OPTIONS"] = ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"), "detect_leaks=0"]))
        variables.update({"STAMPS": str(self.stamps_path), **(environment or {})})
        with open(self.log_path, "wb") as log:
            options = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, **options}
            self.process = subprocess.Popen([*wrap, str(world.bin / "draind"), *arguments], env=variables,
                                            start_new_session=True, **options)
        self.known_keeper = 0 if wrap else self.process.pid

    # --- its processes ---

    @property
    def keeper(self):
        """Seen from here, also where it is process 1 of a namespace."""
        if self.known_keeper == 0:
            def find():
                every = [self.process.pid, *descendants(self.process.pid)]
                return next((pid for pid in every if comm(pid) == "draind"), 0)
            self.known_keeper = until(find, "keeper")
        return self.known_keeper

    def find_core(self):
        return next(filter(is_core, children(self.keeper)), 0)

    def core(self):
        return until(self.find_core, "core")

    def kill_core(self):
        """Returns when its successor has taken over."""
        n = len(self.said("has taken over"))
        os.kill(self.core(), signal.SIGKILL)
        until(lambda: len(self.said("has taken over")) > n, "new core")

    def send(self, number):
        os.kill(self.keeper, number)

    def term(self):
        """Asks for the drain; the time when it was asked."""
        now = boottime()
        self.send(signal.SIGTERM)
        return now

    def ended(self, patience=PATIENCE):
        """The exit status, when it has ended; nothing of it may be left."""
        try:
            status = self.process.wait(timeout=patience)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end in {patience} s") from None
        eq([(pid, comm(pid)) for pid in marked(self.mark)], [], "left behind")
        return status

    def drain(self, status=0):
        """TERM to the end; how long it took, in seconds."""
        began = self.term()
        eq(self.ended(), status, "exit status of draind")
        return (boottime() - began) / 1e6

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        # Whoever is born while we look has the mark as well.
        until(lambda: not [os.kill(pid, signal.SIGKILL) for pid in marked(self.mark) if is_alive(pid)], "end of them all")

    # --- what it and its services said ---

    def log(self):
        """Records as dicts; lines that are not JSON as {"message": line}."""
        records = []
        for line in self.log_path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]:
            try:
                records.append(json.loads(line))
            except ValueError:
                records.append({"message": line})
        return records

    def messages(self):
        return [record.get("message", "") for record in self.log()]

    def said(self, pattern):
        return [message for message in self.messages() if re.search(pattern, message)]

    def wait_said(self, pattern, n=1):
        return until(lambda: len(found := self.said(pattern)) >= n and found, f"{n} x {pattern!r} in the log")

    def states(self, service):
        """The states that it went through, as the log tells them."""
        return [record["state"] for record in self.log() if "state" in record and record.get("service") == service]

    def result(self, service):
        """How its last run ended, as the log tells it: (result, sentence)."""
        found = [(r.get("result", "success"), r["message"]) for r in self.log()
                 if r.get("service") == service and r.get("state") in ("stopped", "backoff")]
        return found[-1] if found else None

    def stamps(self, label=None, text=None):
        lines = self.stamps_path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]
        stamps = [Stamp(line) for line in lines]
        return [s for s in stamps if label in (None, s.label) and (text is None or re.fullmatch(text, s.text))]

    def wait_stamp(self, label, text, n=1):
        """The n-th stamp of that kind."""
        return until(lambda: (found := self.stamps(label, text)) and len(found) >= n and found,
                     f"stamp {label!r} {text!r} ({n})")[n - 1]

    def wait_up(self, *labels):
        """The pids of the actors, once all are there."""
        return [self.wait_stamp(label, "up").pid for label in labels]

    def control(self):
        path = self.world.folder / "run/control"
        until(path.is_socket, "control socket")
        return Control(str(path))


class World:
    def __init__(self, folder, programs):
        self.folder = pathlib.Path(folder)
        self.folder.chmod(0o755)
        self.bin = self.folder / "bin"
        self.programs = programs
        self.daemons = []

    @property
    def actor_path(self):
        return self.programs["actor"]

    def actor(self, name, *words):
        """A command line."""
        return " ".join([self.actor_path, name, *(quote(word) for word in words)])

    def configuration(self, services, **manager):
        """services: {name: (words of the actor) or a dict of keys, where "words" may stand for ExecStart}."""
        manager = {"LogTarget": "json", "RuntimeDirectory": self.folder / "run", "GracePeriodSec": "30s", **manager}
        lines = ["[Manager]", *(f"{key}={value}" for key, value in manager.items() if value is not None)]
        for name, keys in services.items():
            keys = dict(keys) if isinstance(keys, dict) else {"words": keys}
            words = keys.pop("words", ())
            keys.setdefault("ExecStart", self.actor(name, *words))
            lines.append(f"[Service {name}]")
            for key, value in keys.items():
                lines += [f"{key}={one}" for one in (value if isinstance(value, list) else [value])]
        return "\n".join(lines) + "\n"

    def configure(self, services, **manager):
        """Writes the file; its path."""
        path = self.folder / "draind.conf"
        fresh = self.folder / "draind.conf.new"
        fresh.write_text(self.configuration(services, **manager), encoding="utf-8")
        fresh.rename(path)
        return path

    def start(self, services, wrap=(), environment=None, options=None, **manager):
        return self.run("-c", self.configure(services, **manager), wrap=wrap, environment=environment, **(options or {}))

    def run(self, *arguments, **options):
        daemon = Daemon(self, [str(argument) for argument in arguments], number=len(self.daemons), **options)
        self.daemons.append(daemon)
        return daemon

    def drainctl(self, *arguments, **options):
        environment = {**os.environ, "DRAIND_SOCKET": str(self.folder / "run/control")}
        return subprocess.run([self.programs["drainctl"], *arguments], env=environment, capture_output=True, text=True,
                              timeout=PATIENCE, check=False, **options)

    def close(self):
        for daemon in self.daemons:
            daemon.close()


def make_bin(folder, programs):
    """The programs as they lie when installed: the keeper finds the others beside itself."""
    folder.mkdir()
    for name in ("draind", "draind-core", "draind-config"):
        shutil.copy(programs[name], folder / name)
    # Where other users can execute it.
    shutil.copy(programs["actor"], folder / "actor")
    programs["actor-source"], programs["actor"] = programs["actor"], str(folder / "actor")


def become_subreaper():
    """What a daemon leaves behind becomes our child, and no zombie of somebody else."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def run_one(test, programs, binaries):
    """(outcome, details)"""
    with tempfile.TemporaryDirectory(prefix="draind-test-") as folder:
        world = World(folder, programs)
        (world.folder / "bin").symlink_to(binaries)
        try:
            test(world)
            for daemon in world.daemons:
                eq(daemon.said("Sanitizer|runtime error|Assertion"), [], "complaints")
        except Skip as skip:
            return "skip", str(skip)
        except Exception:
            details = traceback.format_exc()
            for daemon in world.daemons:
                details += f"--- log of {daemon.process.args}\n" + "\n".join(daemon.messages()[-60:])
                details += "\n--- stamps\n" + "\n".join(map(repr, daemon.stamps()[-60:])) + "\n"
            return "failed", details
        finally:
            world.close()
    return "ok", ""


def main(tests, n_parallel=4):
    """Arguments: DRAIND CORE CONFIG DRAINCTL ACTOR [TEST...]"""
    names = ("draind", "draind-core", "draind-config", "drainctl", "actor")
    programs = dict(zip(names, map(os.path.abspath, sys.argv[1:6])))
    wanted = sys.argv[6:]
    chosen = [test for name, test in tests.items() if name.startswith("test_") and callable(test)
              and (not wanted or any(word in name for word in wanted))]
    default_signals()
    become_subreaper()
    os.umask(0o022)
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="draind-bin-") as folder, ThreadPoolExecutor(n_parallel) as pool:
        os.chmod(folder, 0o755)
        binaries = pathlib.Path(folder) / "bin"
        make_bin(binaries, programs)
        results = [(test, pool.submit(run_one, test, programs, binaries)) for test in chosen]
        for test, result in results:
            name = test.__name__.removeprefix("test_").replace("_", " ")
            outcome, details = result.result()
            if outcome == "skip":
                tap.skip(name, details)
            else:
                tap.ok(outcome == "ok", name, details)
            sys.stdout.flush()
    return tap.done()
