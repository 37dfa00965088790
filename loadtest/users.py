"""Users as Locust runs them. Importing this lets gevent replace Python's sockets: in a process of its own.

Also a locustfile, for Locust's own page: ``locust -f loadtest/users.py ClosedLoop --host URL``.
"""

import time
from typing import Any

import gevent
from gevent.pool import Group
from locust import FastHttpUser, constant, task

from loadtest.rows import Requests
from loadtest.tally import Tally


class _Asking(FastHttpUser):
    """What both kinds of user do: ask for a prediction and count the answer."""

    abstract = True
    tally = Tally("all")
    seeds = 0
    _requests: Requests

    def on_start(self) -> None:
        """Learn from the model which rows it takes."""
        with self.client.get("/schema", name="schema", catch_response=True) as answer:
            schema: dict[str, Any] = answer.json()
        type(self).seeds += 1
        self._requests = Requests(schema, seed=self.seeds)

    def ask(self, intended_at_seconds: float) -> None:
        """Send one request; its latency counts from when it was meant to be sent."""
        asked = self._requests.draw()
        with self.client.post("/predict", json=asked.body, name=asked.kind, catch_response=True) as answer:
            status = int(answer.status_code or 0)
            if status == asked.expected:
                answer.success()
            else:
                answer.failure(f"{status}, expected {asked.expected}")
        taken = time.perf_counter() - intended_at_seconds
        self.tally.add(asked.kind, status=status, expected=asked.expected, seconds=taken)


class ClosedLoop(_Asking):
    """Sends its next request when the last is answered."""

    wait_time = constant(0)

    @task
    def predict(self) -> None:
        """Ask once."""
        self.ask(time.perf_counter())


class OpenLoop(_Asking):
    """Requests that arrive at a constant rate, answered or not: nobody out there waits for our answers.

    A server that stalls is not asked less, and what waits meanwhile counts with its whole wait.
    """

    concurrency = 256
    rate = 100.0
    seconds = 10.0

    @task
    def arrive(self) -> None:
        """All arrivals, then the end of this user."""
        under_way = Group()
        began = time.perf_counter()
        for place in range(round(self.rate * self.seconds)):
            due = began + place / self.rate
            gevent.sleep(max(0.0, due - time.perf_counter()))
            under_way.start(gevent.Greenlet(self.ask, due))
        under_way.join()
        self.stop(force=False)
