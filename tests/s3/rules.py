"""Which requests something happens to: rules that a test arms and takes away, in any thread."""

import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self, TypeAlias

from tests.s3.log import Seen
from tests.s3.moments import Fault
from tests.s3.operations import Operation

KeyFilter: TypeAlias = str | Callable[[str], bool] | None
"""A part of the key, or a question about it."""


class Rule:
    """Faults for the requests that fit. Also a context manager: removed at the end."""

    def __init__(
        self,
        rules: "Rules",
        fits: Callable[[Seen], bool],
        faults: Sequence[Fault],
        *,
        nth: int,
        times: int | None,
    ) -> None:
        """It acts on the `nth` request that fits, and on those behind it, so many times; None: always."""
        self.met = 0  # requests that fit
        self.hits = 0  # those it acted on
        self.faults = faults
        self._rules = rules
        self._fits = fits
        self._nth = nth
        self._times = times

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def remove(self) -> None:
        """It acts no more; on requests that it has acted on it goes on."""
        self._rules.remove(self)

    def is_due(self, seen: Seen) -> bool:
        """Count the request if it fits, and tell whether this rule would act on it."""
        if not self._fits(seen):
            return False
        self.met += 1
        return self.met >= self._nth and (self._times is None or self.hits < self._times)


class Rules:
    """Every rule counts every request; the first one that is due acts on it, alone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[Rule] = []

    def arm(self, fits: Callable[[Seen], bool], faults: Sequence[Fault], *, nth: int, times: int | None) -> Rule:
        """Add a rule behind the others."""
        rule = Rule(self, fits, faults, nth=nth, times=times)
        with self._lock:
            self._rules.append(rule)
        return rule

    def remove(self, rule: Rule) -> None:
        """Take it away, if it is still there."""
        with self._lock:
            self._rules = [each for each in self._rules if each is not rule]

    def clear(self) -> None:
        """Take all away."""
        with self._lock:
            self._rules = []

    def judge(self, seen: Seen) -> Sequence[Fault]:
        """What happens to a request that has just come."""
        with self._lock:
            due = [rule for rule in self._rules if rule.is_due(seen)]
            if not due:
                return ()
            due[0].hits += 1
        seen.fault = ", ".join(map(repr, due[0].faults))
        return due[0].faults


def fitting(
    operations: Sequence[Operation], key: KeyFilter, part: int | None, where: Callable[[Seen], bool]
) -> Callable[[Seen], bool]:
    """Make the question of a rule; no operations: all of them."""

    def fits(seen: Seen) -> bool:
        named = key is None or (key in seen.key if isinstance(key, str) else key(seen.key))
        return (not operations or seen.operation in operations) and named and part in (None, seen.part) and where(seen)

    return fits
