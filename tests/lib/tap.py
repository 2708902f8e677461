"""Test Anything Protocol, as Meson reads it."""


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
