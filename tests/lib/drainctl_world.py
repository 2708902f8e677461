"""drainctl run against a daemon that only talks (tests/system/mock-daemon.py)."""

import fcntl
import importlib.util
import os
import pathlib
import pty
import struct
import subprocess
import sys
import tempfile
import termios
import time
import traceback

from tap import default_signals

MOCK = pathlib.Path(__file__).resolve().parents[1] / "system/mock-daemon.py"
loader = importlib.util.spec_from_file_location("mock_daemon", MOCK)
mock = importlib.util.module_from_spec(loader)
loader.loader.exec_module(mock)

DEADLINE = 30.0


def eq(got, expected, what=""):
    assert got == expected, f"{what}: expected {expected!r}, got {got!r}"


def has(text, *parts):
    for part in parts:
        assert part in text, f"{part!r} is not in:\n{text}"


def has_not(text, *parts):
    for part in parts:
        assert part not in text, f"{part!r} is in:\n{text}"


class Result:
    """How drainctl ended, and what it said."""

    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    def ends(self, status, out=(), err=()):
        eq(self.status, status, f"exit status (stdout {self.out!r}, stderr {self.err!r})")
        has(self.out, *([out] if isinstance(out, str) else out))
        has(self.err, *([err] if isinstance(err, str) else err))
        if not err:
            eq(self.err, "", "stderr")
        elif "\n" in self.err.strip() and isinstance(err, str):
            raise AssertionError(f"more than one line on stderr: {self.err!r}")
        return self


class World:
    """One daemon, and drainctl run against it."""

    def __init__(self, program, folder):
        self.program = program
        self.folder = pathlib.Path(folder)
        self.path = str(self.folder / "control")
        self.daemon = None
        self.environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": folder, "TERM": "xterm",
                            "TZ": "UTC", "DRAIND_SOCKET": self.path}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LD_LIBRARY_PATH", "LSAN_OPTIONS"):
            if name in os.environ:
                self.environment[name] = os.environ[name]

    def serve(self, **handlers):
        self.daemon = self.daemon or mock.MockDaemon(self.path)
        for method, handler in handlers.items():
            self.daemon.on(method, handler)
        return self

    def start(self, *arguments, **environment):
        return subprocess.Popen([self.program, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, env={**self.environment, **environment},
                                start_new_session=True)

    def finish(self, process):
        try:
            out, err = process.communicate(timeout=DEADLINE)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"did not end within {DEADLINE} s: {out!r} {err!r}") from None
        return Result(process.returncode, out, err)

    def run(self, *arguments, **environment):
        return self.finish(self.start(*arguments, **environment))


def on_terminal(w, *arguments, until=b"", then=None, columns=80, **environment):
    pid, fd = pty.fork()
    if pid == 0:
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        os.execve(w.program, [w.program, *arguments], {**w.environment, **environment})
    seen = b""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        try:
            data = os.read(fd, 65536)
        except OSError:
            break
        seen += data
        if then and until in seen:
            os.write(fd, then)
            then = None
        if not data:
            break
    _, status = os.waitpid(pid, 0)
    os.close(fd)
    return os.waitstatus_to_exitcode(status), seen.decode()


def stream(*replies, method_end=None):
    """A handler that sends these replies; the last one ends the call unless method_end says what follows."""
    def handler(call):
        for i, parameters in enumerate(replies):
            call.reply(parameters, i + 1 < len(replies) or method_end is not None)
        if method_end:
            method_end(call)
    return handler


def drained(*steps, number=3, done=True, **more):
    """Replies of Drain: one for each (name, state, extra)."""
    names = list(dict.fromkeys(step[0] for step in steps))
    replies = [{"operation": mock.operation(number, services=names), "joined": False, "done": False,
                "services": [mock.service(name, state, **extra)]} for name, state, extra in steps]
    replies[-1] = {**replies[-1], "done": done, "operation": mock.operation(number, "stopped", names, **more)}
    return replies


DRAINING = ("web", "draining", {"phase": "terminate", "leftUsec": 8_000_000})
STOPPED = ("web", "stopped", {"result": "success"})
KILLED = ("web", "stopped", {"result": "killed", "exitSignal": "KILL"})


def endless(w, left=20_000_000):
    w.serve(Drain=stream({**drained(DRAINING, done=False)[0], "operation": mock.operation(leftUsec=left)},
                         method_end=lambda call: call.hang()))


def run_tests(namespace):
    """Runs test_* of namespace, or those named behind the program's path, as TAP."""
    default_signals()
    program = sys.argv[1] if len(sys.argv) > 1 else "drainctl"
    names = sys.argv[2:]
    tests = [(name, test) for name, test in namespace.items() if name.startswith("test_") and (not names or name in names)]
    print(f"1..{len(tests)}", flush=True)
    n_failed = 0
    for number, (name, test) in enumerate(tests, 1):
        with tempfile.TemporaryDirectory(prefix="drainctl-") as folder:
            w = World(program, folder)
            try:
                test(w)
                print(f"ok {number} - {name[5:].replace('_', ' ')}", flush=True)
            except Exception:  # pylint: disable=broad-except
                n_failed += 1
                print(f"not ok {number} - {name[5:].replace('_', ' ')}")
                print("".join(f"# {line}\n" for line in traceback.format_exc().splitlines()), end="", flush=True)
            finally:
                if w.daemon:
                    w.daemon.end()
    return 1 if n_failed else 0
