"""Waiting for a condition: the only place of the scenario tests that sleeps.

KEYFERRY_TEST_JITTER   milliseconds: behind each condition that holds a random time up to that passes, as on a machine that is busy with other things. A test
                       must not care: that something follows at once is nothing to rely on (docs/testing.md)"""

import os
import random
import time

import redis

# What a condition may raise to say "not yet": the peer is not reachable at the moment, or an assertion about its
# state does not hold so far.
NOT_YET = (AssertionError, OSError, redis.exceptions.ConnectionError, redis.exceptions.TimeoutError)

# What is waited for comes within a second or two; a machine that is busy with other things gets all the time that it may need.
TIMEOUT_SECONDS = 180
FIRST_PAUSE = 0.002
LONGEST_PAUSE = 0.05
JITTER_SECONDS = float(os.environ.get("KEYFERRY_TEST_JITTER") or 0) / 1000
_jitter = random.Random()      # not of the tests' own sequence


def wait_for(condition, timeout=TIMEOUT_SECONDS, what="a condition"):
    """Calls `condition` until it returns something true, and returns that.

    A condition that raises one of NOT_YET counts as false. After `timeout` seconds TimeoutError names `what`, with
    the last value or exception, so that the report of a failed test says what was there instead."""
    deadline = time.monotonic() + timeout
    pause = FIRST_PAUSE
    while True:
        cause = None
        try:
            value = condition()
            if value:
                time.sleep(_jitter.uniform(0, JITTER_SECONDS))
                return value
        except NOT_YET as error:
            value, cause = error, error
        if time.monotonic() >= deadline:
            raise TimeoutError(f"waited {timeout} s in vain for {what}; last seen: {value!r}") from cause
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)
