"""The order in which waiting windows leave the queue of one model.

Rules, all implemented in `FairQueue.take`:

    fair           Clients take turns, and so do the requests of one client: the one with the fewest received tokens is
                   next. A newcomer starts level with the one served last, so that a single question does not wait for
                   another request's 500 windows (start-time fair queueing: Goyal, Vin and Cheng, 1996). Ties are served
                   in order of arrival. The windows of one request stay in order.
    look-ahead     When a window does not fit into the rest of a batch, smaller windows of other requests may go first.
                   One batch skips at most `LOOK_AHEAD` requests, and none of them loses its turn.
    no starvation  Every `OLDEST_EVERY`-th batch begins with the window that has waited longest, of any client. So a
                   window with p older ones before it leaves with one of the next OLDEST_EVERY * (p + 1) batches,
                   regardless of later arrivals.

This module knows costs in tokens, and does not know time, engines or the content of windows.
"""

import heapq
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Sequence
from typing import Generic, TypeVar

W = TypeVar("W", bound=Hashable)  # a window

LOOK_AHEAD = 16
OLDEST_EVERY = 4


class _Party(ABC):
    """A participant in turns: a client among clients, or a request among those of its client."""

    def __init__(self) -> None:
        self.received = 0  # received tokens, counted from its starting level
        self.arrival = 0  # its number in the order of arrival, which never changes
        self.in_line = False

    @property
    @abstractmethod
    def has_windows(self) -> bool:
        """Whether any of its windows waits."""


P = TypeVar("P", bound=_Party)


class _Line(Generic[P]):
    """Parties in the order of their turns. A party without windows is dropped when its turn comes."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, P]] = []
        self._arrivals = 0
        self._level = 0

    def join(self, newcomer: P) -> None:
        self._arrivals += 1
        newcomer.received, newcomer.arrival = self._level, self._arrivals
        self.put_back(newcomer)

    def put_back(self, party: P) -> None:
        if party.has_windows and not party.in_line:
            party.in_line = True
            heapq.heappush(self._heap, (party.received, party.arrival, party))

    def next(self) -> P | None:
        """Take the next out of the line."""
        while self._heap:
            received, arrival, party = heapq.heappop(self._heap)
            if party.has_windows and party.received > received:  # it was served out of turn because of its age
                heapq.heappush(self._heap, (party.received, arrival, party))
                continue
            party.in_line = False
            if party.has_windows:
                self._level = max(self._level, party.received)
                return party
        return None


class _Client(_Party, Generic[W]):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.requests: _Line[_Request[W]] = _Line()
        self.waiting = 0

    @property
    def has_windows(self) -> bool:
        return self.waiting > 0


class _Request(_Party, Generic[W]):
    def __init__(self, client: _Client[W]) -> None:
        super().__init__()
        self.client = client
        self.windows: OrderedDict[W, int] = OrderedDict()  # with their costs

    @property
    def has_windows(self) -> bool:
        return bool(self.windows)


class FairQueue(Generic[W]):
    """Waiting windows. Every operation takes logarithmic time in the number of waiting windows."""

    def __init__(self) -> None:
        self.tokens = 0  # waiting windows
        self._by_age: OrderedDict[W, _Request[W]] = OrderedDict()
        self._clients: dict[str, _Client[W]] = {}
        self._line: _Line[_Client[W]] = _Line()
        self._batches = 0

    def __len__(self) -> int:
        return len(self._by_age)

    def __iter__(self) -> Iterator[W]:
        """By age, oldest first."""
        return iter(self._by_age)

    def __contains__(self, window: object) -> bool:
        return window in self._by_age

    def add(self, windows: Sequence[tuple[W, int]], client: str) -> None:
        """Queue the windows of one request, each with its cost."""
        if not windows:
            return
        is_new = client not in self._clients
        owner = self._clients.setdefault(client, _Client(client))
        request = _Request(owner)
        for window, cost in windows:
            request.windows[window] = cost
            self._by_age[window] = request
            self.tokens += cost
        owner.waiting += len(windows)
        owner.requests.join(request)
        if is_new:
            self._line.join(owner)

    def remove(self, window: W) -> int:
        """Remove one window from any place in the queue; return its cost."""
        request = self._by_age.pop(window)
        cost = request.windows.pop(window)
        self.tokens -= cost
        request.client.waiting -= 1
        if not request.client.waiting:
            del self._clients[request.client.name]
        return cost

    def take(self, budget: int, *, filling: bool = False) -> list[W]:
        """The next batch: at most `budget` tokens, or one window that costs more. Empty when nothing waits.

        Args:
            filling: they join a batch that was taken before: none of them may cost more than `budget`.
        """
        batch: list[W] = []
        passed_over: list[_Request[W]] = []
        left = budget
        self._batches += not filling
        if not filling and self._batches % OLDEST_EVERY == 0 and (oldest := next(iter(self), None)) is not None:
            left -= self._serve(oldest)
            batch.append(oldest)
        while left > 0 and len(passed_over) <= LOOK_AHEAD and (request := self._next_request()) is not None:
            window, cost = next(iter(request.windows.items()))
            if (batch or filling) and cost > left:
                passed_over.append(request)
                self._line.put_back(request.client)  # its other requests may have smaller windows
                continue
            left -= self._serve(window)
            batch.append(window)
            self._put_back(request)
        for request in passed_over:
            self._put_back(request)
        return batch

    def _serve(self, window: W) -> int:
        request = self._by_age[window]
        cost = self.remove(window)
        request.received += cost
        request.client.received += cost
        return cost

    def _next_request(self) -> _Request[W] | None:
        while (client := self._line.next()) is not None:
            if (request := client.requests.next()) is not None:
                return request
        return None  # the windows that still wait were skipped

    def _put_back(self, request: _Request[W]) -> None:
        request.client.requests.put_back(request)
        self._line.put_back(request.client)
