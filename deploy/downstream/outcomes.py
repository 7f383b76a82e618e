#!/usr/bin/env python3
"""Reads the outcomes of identihook, each at least once, with a consumer group of its own.

Needs redis-py (Debian: python3-redis). Run as many as you like: the group shares the outcomes among them.

  REDIS_URL             redis://user:password@host:6379/0, rediss://… or unix:///path?db=0
  IDENTIHOOK_NAMESPACE  the same as identihook's (identihook)
  GROUP                 the name of your service (example): each group gets every outcome
  CLAIM_AFTER_MS        how long an outcome may be in work before another takes it over (60000)
"""

import json
import os
import signal
import socket
import sys
import time

import redis

STREAM = "{%s}:outcomes" % os.environ.get("IDENTIHOOK_NAMESPACE", "identihook")
GROUP = os.environ.get("GROUP", "example")
CONSUMER = "%s-%d" % (socket.gethostname(), os.getpid())
CLAIM_AFTER_MS = int(os.environ.get("CLAIM_AFTER_MS", "60000"))
DELIVERIES_MAXIMUM = 10

running = True


def handle(outcome):
    """Yours. It may be called twice for one outcome, so let the second time do nothing: outcome["event"] tells."""
    print(json.dumps(outcome), flush=True)


def stop(*_):
    global running
    running = False


def make_group(client):
    try:
        client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)  # from the beginning: nothing is passed over
    except redis.exceptions.ResponseError as error:
        if not str(error).startswith("BUSYGROUP"):
            raise


def take(client):
    """What a consumer that has died, or failed, has left; else what is new."""
    left = client.xautoclaim(STREAM, GROUP, CONSUMER, CLAIM_AFTER_MS, start_id="0-0", count=10)[1]
    if left:
        return left
    read = client.xreadgroup(GROUP, CONSUMER, {STREAM: ">"}, count=10, block=1000)
    return read[0][1] if read else []


def carry(client, entry, outcome):
    """An entry without fields was redacted or trimmed meanwhile: there is nothing left to do about it."""
    try:
        if outcome:
            handle(outcome)
    except Exception as error:  # pylint: disable=broad-except
        pending = client.xpending_range(STREAM, GROUP, entry, entry, 1)
        print("%s failed: %s" % (entry, type(error).__name__), file=sys.stderr)
        if not pending or pending[0]["times_delivered"] < DELIVERIES_MAXIMUM:
            return  # it comes again after CLAIM_AFTER_MS
        print("%s is given up" % entry, file=sys.stderr)
    client.xack(STREAM, GROUP, entry)


def main():
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    url = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
    client = redis.Redis.from_url(url, decode_responses=True, socket_timeout=10)
    while running:
        try:
            make_group(client)
            while running:
                for entry, outcome in take(client):
                    if entry:  # Redis 6.2 gives nothing for what is gone
                        carry(client, entry, outcome)
        except redis.exceptions.RedisError as error:  # it is away, or the group is: both come back
            print("redis: %s" % error, file=sys.stderr)
            time.sleep(0.5)
    try:
        if not client.xpending_range(STREAM, GROUP, "-", "+", 1, consumername=CONSUMER):
            client.xgroup_delconsumer(STREAM, GROUP, CONSUMER)  # with entries in work they would be dropped with it
    except redis.exceptions.RedisError:
        pass


if __name__ == "__main__":
    main()
