"""Cases of the Python SDKs: one line for each, and an exit code that says whether all went well."""

import json
import os
import sys
import time
import traceback
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor

# Cases that run side by side.
AT_ONCE = 6


class Cases:
    def __init__(self, family, version):
        self.family = f"{family} {version}"
        # Without a platform in between, the mock itself is tried: what only the platform does is left out.
        self.direct = os.environ.get("DIRECT") == "1"
        self.models = os.environ["VIA"].split()
        self.all = []

    def add(self, case, models):
        self.all += [(case, model) for model in models]
        return case

    def each(self, case):
        """Through every upstream."""
        return self.add(case, self.models)

    def once(self, case):
        """Through the first upstream, which speaks the same API."""
        return self.add(case, self.models[:1])

    def platform(self, case):
        """What the platform does by itself."""
        return self.add(case, [] if self.direct else self.models[:1])

    def platform_each(self, case):
        return self.add(case, [] if self.direct else self.models)

    def run(self):
        chosen = [(case, model) for case, model in self.all if not sys.argv[1:] or case.__name__ in sys.argv[1:]]
        # Most of the time goes to waiting: for tries after a while, for what never comes.
        with ThreadPoolExecutor(AT_ONCE) as pool:
            failed = list(pool.map(lambda each: self.fails(*each), chosen)).count(True)
        sys.exit(1 if failed else 0)

    def fails(self, case, model):
        """Runs a case and says how it went."""
        started = time.monotonic()
        name = f"{self.family} {model} {case.__name__}"
        try:
            case(model, f"t{uuid.uuid4().hex[:12]}")
            print(f"ok {name} ({time.monotonic() - started:.1f} s)\n", end="", flush=True)
            return False
        except Exception as error:
            line = traceback.extract_tb(error.__traceback__)[1].lineno
            reason = f"{type(error).__name__} (line {line}): {error}"
            print(f"failed {name}: {reason[:1500]}\n", end="", flush=True)
            if os.environ.get("TRACE"):
                traceback.print_exc()
            return True


def script(tag, *turns, **more):
    """A prompt that tells the mock model what to say."""
    return "script:" + json.dumps({"tag": tag, "turns": turns, **more})


def seen(tag, more=""):
    """What arrived upstream for a tag."""
    with urllib.request.urlopen(f"{os.environ['MOCK']}/_seen?tag={tag}{more}") as answer:
        return json.load(answer)


def seen_gone(tag):
    """Whether a client of the upstream went away before its answer ended. Waits for it."""
    return any(each["gone"] for each in seen(tag, "&gone=1"))


def check(holds, otherwise):
    if not holds:
        raise AssertionError(otherwise)


def equal(found, expected):
    if found != expected:
        raise AssertionError(f"{found!r} is not {expected!r}")
