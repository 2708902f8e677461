#!/usr/bin/python3
"""The keeper against a fake core: test-keeper.py DRAIND FAKE-CORE. Writes TAP."""

import array
import contextlib
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

PATIENCE = 60.0
NAMESPACE = ["unshare", "--user", "--map-root-user", "--fork", "--pid", "--mount-proc"]


class Skip(Exception):
    """What the test needs is not to be had here."""


class Draind:
    """One keeper with its fake core, driven by lines on stdin, heard by lines on stdout."""

    def __init__(self, directory, *args, wrap=(), env=None, shell=None):
        self.error_path = os.path.join(directory, "stderr")
        binary = os.path.join(directory, "draind")
        command = [*wrap, *(shell or []), binary, *args]
        environment = {name: value for name, value in os.environ.items()
                       if name not in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")}
        environment.update(env or {})
        with open(self.error_path, "wb") as error:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=error,
                                            env=environment, start_new_session=True, close_fds=False)
        self.pid = self.process.pid
        self.buffer = b""

    def tell(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def line(self):
        deadline = time.monotonic() + PATIENCE
        while b"\n" not in self.buffer:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))
            piece = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            if not piece:
                raise AssertionError("no more output; stderr: " + self.errors())
            self.buffer += piece
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.decode()

    def expect(self, pattern):
        """The first line that matches; others are passed over."""
        while True:
            match = re.fullmatch(pattern, self.line())
            if match:
                return match

    def ask(self, line, pattern="done"):
        self.tell(line)
        return self.expect(pattern)

    def start(self):
        """Waits for a core; its generation, pid and number of fds."""
        return tuple(int(part) for part in self.expect(r"start (\d+) (\d+) (\d+)").groups())

    def fds(self):
        self.tell("fds")
        found = []
        while (line := self.line()) != "done":
            if line.startswith("fd "):
                found.append(tuple(line.split(" ", 2)[1:]))
        return found

    def kill_core(self, pid):
        os.kill(pid, signal.SIGKILL)
        return self.start()

    def wait(self):
        return self.process.wait(timeout=PATIENCE)

    def errors(self):
        with open(self.error_path, errors="replace") as file:
            return file.read()

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


@contextlib.contextmanager
def draind(*args, **options):
    with tempfile.TemporaryDirectory() as directory:
        shutil.copy(sys.argv[1], os.path.join(directory, "draind"))
        if options.pop("core", True):
            shutil.copy(sys.argv[2], os.path.join(directory, "draind-core"))
        instance = Draind(directory, *args, **options)
        try:
            yield instance
        finally:
            instance.close()


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition):
    """Polls what cannot be waited for."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.002)


def assert_equal(found, wanted):
    assert found == wanted, f"{found!r} instead of {wanted!r}"


def namespace():
    if subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode != 0:
        raise Skip("no user and pid namespaces")
    return NAMESPACE


def test_help_and_version_need_no_core():
    for option, text in ("--help", "Usage: draind"), ("--version", "draind "):
        with draind(option, core=False) as d:
            assert d.line().startswith(text)
            assert_equal(d.wait(), 0)


def test_option_of_the_command_is_not_ours():
    with draind("self", "--", "--help", core=False) as d:
        assert_equal(d.wait(), 70)


def test_core_starts_clean():
    with draind(env={"WATCHDOG_USEC": "1000000"}) as d:
        generation, _, n_fds = d.start()
        assert_equal((generation, n_fds), (1, 3))
        d.ask("self", "self blocked=0 death=15 group=1 watchdog=0 past=-1")
        assert_equal([name for name, _ in d.fds()], ["ring", "ring-event", "ring-room"])


def test_arguments_reach_the_core():
    with draind("store one first", "end 5") as d:
        d.start()
        assert_equal(d.wait(), 5)


def test_stored_fds_come_back():
    with draind() as d:
        _, core, _ = d.start()
        for line in "store a first", "store b second", "store c third", "store a again":
            d.ask(line)
        d.ask("notify FDSTOREREMOVE=1;FDNAME=b")
        for generation in 2, 3, 4:
            found, core, _ = d.kill_core(core)
            assert_equal(found, generation)
            assert_equal(sorted(d.fds()[3:]), [("a", "again"), ("c", "third")])


def test_ten_thousand_fds_come_back_in_order():
    with draind() as d:
        _, core, _ = d.start()
        with open(f"/proc/{d.pid}/limits") as file:
            limit = int(re.search(r"Max open files +(\d+)", file.read()).group(1))
        count = min(10000, (limit - 100) // 2)
        d.ask(f"many {count}", f"stored {count} 0")
        for _ in range(3):
            began = time.monotonic()
            _, core, n_fds = d.kill_core(core)
            print(f"# {count} fds: a new core after {(time.monotonic() - began) * 1000:.1f} ms")
            assert_equal(n_fds, count + 3)
            d.ask(f"check {count}", f"checked {count} 0")


def test_fds_inherited_from_a_manager_go_first():
    listener = socket.create_server(("127.0.0.1", 0))
    script = f'exec 3<&{listener.fileno()}; LISTEN_PID=$$ exec "$0" "$@"'
    os.set_inheritable(listener.fileno(), True)
    environment = {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "a-name-of-more-than-fifteen-bytes"}
    with draind(shell=["/bin/sh", "-c", script], env=environment) as d:
        _, core, _ = d.start()
        d.ask("store mine text")
        for _ in range(2):
            _, core, _ = d.kill_core(core)
            assert_equal(d.fds()[3:], [("a-name-of-more-than-fifteen-bytes", ""), ("mine", "text")])
    listener.close()


def test_closed_standard_fds_are_opened():
    with tempfile.TemporaryDirectory() as directory:
        shutil.copy(sys.argv[1], os.path.join(directory, "draind"))
        shutil.copy(sys.argv[2], os.path.join(directory, "draind-core"))
        script = 'exec "$0" "end 6" <&- >&- 2>&-'
        assert_equal(subprocess.run(["/bin/sh", "-c", script, os.path.join(directory, "draind")],
                                    timeout=PATIENCE).returncode, 6)


def test_no_exit_is_lost_over_many_core_kills():
    with draind() as d:
        _, core, _ = d.start()
        d.ask("spawn 1")
        for i in range(200):
            # Asked for, so that it does not count as a crash; where it dies is left to chance.
            d.tell("churn 1")
            os.kill(d.pid, signal.SIGUSR2)
            d.expect(rf"signal {int(signal.SIGUSR2)} .*")
            time.sleep((i % 13) * 0.0007)
            os.kill(core, signal.SIGKILL)
            _, core, _ = d.start()
        d.tell("quiet")
        settled = None
        while settled is None or settled[0] != settled[1]:
            settled = [int(part) for part in d.ask("verify", r"verified (\d+) (\d+) (\d+)").groups()]
            assert settled[1] <= settled[0], settled
        print(f"# {settled[0]} children, {settled[1]} exits")
        assert settled[0] > 1000 and settled[2] == 0, settled


def test_full_ring_loses_nothing():
    with draind() as d:
        _, core, _ = d.start()
        d.tell("quiet")
        d.tell("deaf 1")
        d.ask("spawn 6000")
        for number in signal.SIGTERM, signal.SIGHUP:
            os.kill(d.pid, number)
        wait_until(lambda: "SigPnd:\t0000000000000000" in open(f"/proc/{d.pid}/status").read()
                   and "ShdPnd:\t0000000000000000" in open(f"/proc/{d.pid}/status").read())
        os.kill(d.pid, signal.SIGTERM)
        d.tell("deaf 0")
        found = sorted(int(d.expect(r"signal (\d+) .*").group(1)) for _ in range(3))
        assert_equal(found, sorted([int(signal.SIGTERM), int(signal.SIGTERM), int(signal.SIGHUP)]))
        wait_until(lambda: d.ask("count", r"count (\d+)").group(1) == "6000")


def test_core_that_dies_with_a_full_ring_is_replaced():
    with draind() as d:
        _, core, _ = d.start()
        d.tell("quiet")
        d.tell("deaf 1")
        d.ask("spawn 6000")
        d.kill_core(core)
        d.tell("quiet")
        assert_equal(d.ask("verify", r"verified (\d+) \d+ \d+").group(1), "6000")
        wait_until(lambda: d.ask("verify", r"verified 6000 (\d+) (\d+)").groups() == ("6000", "0"))


def test_signals_come_with_their_sender():
    with draind() as d:
        d.start()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1,
                       signal.SIGRTMIN + 3):
            os.kill(d.pid, number)
            d.expect(rf"signal {int(number)} {os.getpid()} {os.getuid()} 0")


def test_usr2_starts_another_core():
    with draind() as d:
        _, core, _ = d.start()
        d.ask("store a kept")
        for i in range(7):  # more often than a core may crash
            os.kill(d.pid, signal.SIGUSR2)
            d.expect(rf"signal {int(signal.SIGUSR2)} .*")
            d.tell("quit 0")
            generation, core, _ = d.start()
            assert_equal(generation, i + 2)
        began = time.monotonic()
        os.kill(d.pid, signal.SIGUSR2)  # this one does not go by itself
        d.start()
        assert 1.5 < time.monotonic() - began < 10
        assert_equal(d.fds()[3:], [("a", "kept")])


def test_stopped_core_is_killed_by_the_watchdog():
    with draind() as d:
        _, core, _ = d.start()
        d.ask("draining 60000 1000")
        began = time.monotonic()
        os.kill(core, signal.SIGSTOP)
        d.start()
        assert time.monotonic() - began < 8
        assert "does not answer" in d.errors()


def test_crash_loop_ends_in_last_rites():
    with draind() as d:
        _, core, _ = d.start()
        d.tell("grace 700")
        d.tell("stubborn 3")
        children = [int(d.expect(r"child (\d+)").group(1)) for _ in range(3)]
        began = time.monotonic()
        for _ in range(5):
            d.tell("crash")
        assert_equal(d.wait(), 70)
        assert 0.6 < time.monotonic() - began < 10
        assert not any(is_alive(child) for child in children)


def test_missing_core_gives_up():
    with draind(core=False) as d:
        assert_equal(d.wait(), 70)
        assert "Cannot execute" in d.errors()


def test_second_term_shortens_last_rites():
    with draind() as d:
        d.start()
        d.tell("grace 50000")
        d.tell("stubborn 1")
        d.expect(r"child (\d+)")
        for _ in range(5):
            d.tell("crash")
        wait_until(lambda: "Ending all services" in d.errors())
        began = time.monotonic()
        os.kill(d.pid, signal.SIGTERM)
        wait_until(lambda: "ShdPnd:\t0000000000000000" in open(f"/proc/{d.pid}/status").read())
        os.kill(d.pid, signal.SIGINT)
        assert_equal(d.wait(), 70)
        assert time.monotonic() - began < 10


def test_hung_core_is_given_up_at_the_deadline():
    with draind() as d:
        _, core, _ = d.start()
        d.tell("stubborn 2")
        children = [int(d.expect(r"child (\d+)").group(1)) for _ in range(2)]
        d.ask("draining 300 1000")
        os.kill(core, signal.SIGSTOP)
        began = time.monotonic()
        assert_equal(d.wait(), 70)
        assert time.monotonic() - began < 5
        assert not any(is_alive(child) for child in children + [core])


def test_finished_core_decides_the_status():
    with draind() as d:
        d.start()
        d.tell("stubborn 2")
        children = [int(d.expect(r"child (\d+)").group(1)) for _ in range(2)]
        d.tell("end 3")
        assert_equal(d.wait(), 3)
        assert not any(is_alive(child) for child in children)


def test_core_learns_that_the_keeper_was_killed():
    with draind() as d:
        d.start()
        d.process.send_signal(signal.SIGKILL)
        d.expect("keeper-died 15")


@contextlib.contextmanager
def manager():
    """A stand-in for systemd's socket."""
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        path = os.path.join(directory, "notify")
        receiver.bind(path)
        receiver.settimeout(PATIENCE)
        yield receiver, path


def test_only_what_is_for_systemd_goes_up():
    with manager() as (receiver, path), draind(env={"NOTIFY_SOCKET": path}) as d:
        d.start()
        d.ask("store a text")
        d.ask("notify READY=1;MAINPID=1;WATCHDOG=1;STATUS=up;FDPOLL=0;X_OWN=2")
        assert_equal(receiver.recv(4096), b"READY=1\nSTATUS=up\nX_OWN=2")


def test_full_manager_is_not_waited_for():
    with manager() as (receiver, path), draind(env={"NOTIFY_SOCKET": path}) as d:
        d.start()
        for _ in range(600):
            d.ask("notify STATUS=nobody-reads-this")


def test_watchdog_of_systemd_is_fed():
    with manager() as (receiver, path), draind(env={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "200000"}) as d:
        d.start()
        began = time.monotonic()
        for _ in range(4):
            assert_equal(receiver.recv(4096), b"WATCHDOG=1")
        assert 0.2 < time.monotonic() - began < 5


def test_strangers_and_garbage_change_nothing():
    with draind() as d:
        _, core, _ = d.start()
        with open(f"/proc/{core}/environ", "rb") as file:
            address = re.search(rb"NOTIFY_SOCKET=@([^\0]+)", file.read()).group(1)
        before = len(os.listdir(f"/proc/{d.pid}/fd"))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0]))]
            stranger.sendmsg([b"FDSTORE=1\nFDNAME=mine"], rights, 0, b"\0" + address)
            stranger.sendto(b"", b"\0" + address)
        for _ in range(3):
            d.ask("garbage")
        assert_equal(len(os.listdir(f"/proc/{d.pid}/fd")), before)
        d.ask("store a text")
        d.kill_core(core)
        assert_equal(d.fds()[3:], [("a", "text")])


def test_idle_keeper_sleeps():
    def switches():
        with open(f"/proc/{d.pid}/status") as file:
            return int(re.search(r"voluntary_ctxt_switches:\t(\d+)", file.read()).group(1))

    with draind() as d:
        d.start()
        d.ask("notify X_A=1")
        before = switches()
        time.sleep(1)  # the absence of something has no event
        assert switches() - before <= 2, switches() - before


def test_works_as_pid_1():
    with draind(wrap=namespace()) as d:
        _, core, _ = d.start()
        assert core < 20, core
        d.tell("quiet")
        d.ask("store a text")
        d.tell("crash")
        d.start()
        assert_equal(d.fds()[3:], [("a", "text")])
        d.tell("stubborn 2")
        d.expect(r"child \d+")
        d.tell("end 9")
        assert_equal(d.wait(), 9)


def test_pid_1_reaps_twenty_thousand_orphans():
    with draind(wrap=namespace()) as d:
        d.start()
        d.tell("quiet")
        began = time.monotonic()
        for _ in range(20):
            d.tell("orphans 1000")
        wait_until(lambda: int(d.ask("count", r"count (\d+)").group(1)) == 20020)
        print(f"# 20,000 orphans in {time.monotonic() - began:.2f} s")
        d.tell("end 0")
        assert_equal(d.wait(), 0)


def main():
    tests = [(name[5:].replace("_", " "), test) for name, test in globals().items() if name.startswith("test_")]
    wanted = sys.argv[3:]
    tests = [(name, test) for name, test in tests if not wanted or any(word in name for word in wanted)]
    print(f"1..{len(tests)}")
    n_failed = 0
    for number, (name, test) in enumerate(tests, 1):
        try:
            test()
            print(f"ok {number} - {name}", flush=True)
        except Skip as reason:
            print(f"ok {number} - {name} # SKIP {reason}", flush=True)
        except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
            n_failed += 1
            print(f"not ok {number} - {name}\n# {type(error).__name__}: {error}".replace("\n", "\n# "), flush=True)
    return 1 if n_failed else 0


if __name__ == "__main__":
    sys.exit(main())
