"""The order of the queue, without time: fair turns, bounded look-ahead, and a bound on waiting that always holds."""

from hypothesis import given
from hypothesis import strategies as st

from app.engine.fair_queue import LOOK_AHEAD, OLDEST_EVERY, FairQueue

Name = tuple[str, int]  # a request and the number of its window


def add(queue: FairQueue[Name], request: str, *costs: int, client: str = "") -> None:
    queue.add([((request, number), cost) for number, cost in enumerate(costs)], client)


def names(batch: list[Name]) -> list[str]:
    return [request for request, _ in batch]


def test_single_windows_leave_in_the_order_they_came() -> None:
    queue: FairQueue[Name] = FairQueue()
    for request in "abc":
        add(queue, request, 40)
    assert names(queue.take(100)) == ["a", "b"]
    assert names(queue.take(100)) == ["c"]
    assert queue.take(100) == []
    assert queue.tokens == 0


def test_a_single_question_does_not_wait_for_another_requests_windows() -> None:
    queue: FairQueue[Name] = FairQueue()
    add(queue, "long", *[10] * 500)
    assert names(queue.take(20)) == ["long", "long"]
    add(queue, "question", 10)
    assert names(queue.take(20)) == ["question", "long"]


def test_a_batch_is_filled_up_without_a_window_that_is_too_large() -> None:
    queue: FairQueue[Name] = FairQueue()
    add(queue, "large", 50)
    add(queue, "small", 10)
    assert names(queue.take(20, filling=True)) == ["small"]
    assert queue.take(20, filling=True) == []
    assert names(queue.take(20)) == ["large"]


def test_the_windows_of_one_request_stay_in_order() -> None:
    queue: FairQueue[Name] = FairQueue()
    add(queue, "long", *[10] * 5)
    add(queue, "other", *[10] * 2)
    left = [window for _ in range(4) for window in queue.take(20)]
    assert [number for request, number in left if request == "long"] == [0, 1, 2, 3, 4]
    assert [number for request, number in left if request == "other"] == [0, 1]


def test_clients_share_evenly_however_many_requests_they_send() -> None:
    queue: FairQueue[Name] = FairQueue()
    for number in range(500):
        add(queue, f"many {number}", 10, client="busy")
    for number in range(4):
        add(queue, f"few {number}", 10, client="quiet")
    first = [name.split()[0] for _ in range(3) for name in names(queue.take(40))]
    assert first.count("few") == 4, "half of the first eight"
    assert first[:8].count("few") == 4


def test_a_client_that_comes_back_gets_no_credit_for_its_absence() -> None:
    queue: FairQueue[Name] = FairQueue()
    add(queue, "early", *[10] * 100, client="a")
    for _ in range(10):
        queue.take(20)
    add(queue, "late", *[10] * 100, client="b")
    batch = names(queue.take(100))
    assert 4 <= batch.count("late") <= 6


def test_smaller_windows_fill_what_a_large_one_leaves() -> None:
    queue: FairQueue[Name] = FairQueue()
    for request, cost in (("a", 60), ("b", 60), ("c", 10), ("d", 30), ("e", 5)):
        add(queue, request, cost)
    assert names(queue.take(100)) == ["a", "c", "d"]
    assert names(queue.take(100)) == ["b", "e"], "the client that was passed over is next"


def test_look_ahead_is_bounded() -> None:
    queue: FairQueue[Name] = FairQueue()
    add(queue, "first", 60)
    for number in range(LOOK_AHEAD + 1):
        add(queue, f"large {number}", 60)
    add(queue, "small", 10)
    assert names(queue.take(100)) == ["first"], "the small one is too far behind"
    assert names(queue.take(100)) == ["large 0", "small"]


def test_a_window_larger_than_a_batch_leaves_alone() -> None:
    queue: FairQueue[Name] = FairQueue()
    for request, cost in (("small", 10), ("large", 500), ("next", 10)):
        add(queue, request, cost)
    assert names(queue.take(100)) == ["small", "next"]
    assert names(queue.take(100)) == ["large"]


def test_removed_windows_never_leave() -> None:
    queue: FairQueue[Name] = FairQueue()
    add(queue, "gone", 10, 10, client="a")
    add(queue, "stays", 10, client="b")
    assert queue.remove(("gone", 0)) == 10
    assert queue.remove(("gone", 1)) == 10
    assert ("gone", 0) not in queue
    assert (len(queue), queue.tokens) == (1, 10)
    assert names(queue.take(100)) == ["stays"]


def test_the_oldest_leads_every_few_batches_regardless_of_later_arrivals() -> None:
    """A long request against an endless stream of single windows, each of which is fairer to run."""
    queue: FairQueue[Name] = FairQueue()
    add(queue, "long", 100, 100, 100)
    for number in range(8):
        add(queue, f"start {number}", 100)
    served = []
    for number in range(3 * OLDEST_EVERY):
        add(queue, f"new {number}", 100)
        served += names(queue.take(100))
    assert served.count("long") == 3


Arrival = tuple[int, list[int]]  # a client, and the costs of a request's windows


@given(rounds=st.lists(st.lists(st.tuples(st.integers(0, 3), st.lists(st.integers(1, 150), max_size=5)), max_size=3)))
def test_nothing_starves(rounds: list[list[Arrival]]) -> None:
    """A window with p older ones before it leaves with one of the next OLDEST_EVERY * (p + 1) batches."""
    queue: FairQueue[Name] = FairQueue()
    latest: dict[Name, int] = {}
    batches = requests = 0

    def take() -> None:
        nonlocal batches
        batches += 1
        first = min(latest, default=None, key=lambda window: int(window[0]))
        batch = queue.take(100)
        assert bool(batch) == (first is not None)
        for window in batch:
            assert batches <= latest.pop(window)

    for arrivals in rounds:
        for client, costs in arrivals:
            older = len(queue)
            add(queue, str(requests), *costs, client=str(client))
            for number in range(len(costs)):
                latest[str(requests), number] = batches + OLDEST_EVERY * (older + number + 1)
            requests += 1
        take()
    while len(queue):
        take()
    assert not latest
    assert queue.tokens == 0


@given(
    requests=st.lists(
        st.tuples(st.integers(0, 2), st.lists(st.integers(1, 150), min_size=1, max_size=5)), min_size=1, max_size=20
    ),
    removed=st.sets(st.tuples(st.integers(0, 19), st.integers(0, 4))),
)
def test_everything_leaves_once_within_the_budget(requests: list[Arrival], removed: set[tuple[int, int]]) -> None:
    queue: FairQueue[Name] = FairQueue()
    costs: dict[Name, int] = {}
    for request, (client, windows) in enumerate(requests):
        add(queue, str(request), *windows, client=str(client))
        costs |= {(str(request), number): cost for number, cost in enumerate(windows)}
    for request, number in removed:
        if (window := (str(request), number)) in queue:
            queue.remove(window)
            del costs[window]
    assert queue.tokens == sum(costs.values())
    left: list[Name] = []
    while batch := queue.take(100):
        assert len(batch) == 1 or sum(costs[window] for window in batch) <= 100
        left += batch
    assert sorted(left) == sorted(costs)
    assert all(left.index(window) < left.index((name, number + 1)) for window in left
               for name, number in [window] if (name, number + 1) in costs)  # fmt: skip
