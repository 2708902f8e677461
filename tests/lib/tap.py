"""Test Anything Protocol, as Meson reads it, and what every test begins with."""
import signal


def default_signals():
    """Programs under test are told by signals that nohup and background jobs of a shell leave ignored."""
    for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Tap:
    def __init__(self):
        self.n = self.failed = 0

    def ok(self, condition, name, details=()):
        """One point. details: what to show when it fails."""
        self.n += 1
        self.failed += not condition
        print("%sok %d - %s" % ("" if condition else "not ", self.n, name))
        if not condition:
            for line in [details] if isinstance(details, str) else details:
                print("#   %s" % str(line).replace("\n", "\n#   "))
        return condition

    def none(self, findings, name):
        """One point that holds when nothing was found."""
        return self.ok(not findings, name, findings)

    def skip(self, name, reason):
        self.n += 1
        print("ok %d - %s # SKIP %s" % (self.n, name, reason))

    def done(self):
        print("1..%d" % self.n, flush=True)
        return 1 if self.failed else 0
