"""This project as it is used: a Celery worker, a session opened and subscribed through the client.

`python -m benchmarks.peers.product FORM SESSIONS WS_URL REDIS_URL TOPIC...`; FORM is `OKWS_PUBLISH`, and the sessions
share the topics. The worker is this process.
"""

import os
import sys
import threading
import time

form, sessions, ws_url, redis_url, topics = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5:]
os.environ |= {"OKWS_REDIS_URL": redis_url, "OKWS_WS_URL": ws_url, "OKWS_REST_URL": "http://127.0.0.1:9"}
os.environ |= {"OKWS_PUBLISH": form, "OKWS_BACKFILL": "0"}

import okws_celery  # noqa: E402  # the settings come first
from okws_celery.celery import app  # noqa: E402


def subscribe() -> None:
    client = okws_celery.client(timeout=60)
    instruments = sorted({topic.partition(":")[2] for topic in topics})
    for number in range(sessions):
        name = "bench" if sessions == 1 else f"bench{number}"
        while client.open_ws(name)["errorCode"] not in (80000, 80001):
            time.sleep(0.2)
        own = set(instruments[number::sessions])
        mine = [topic for topic in topics if topic.partition(":")[2] in own]
        for start in range(0, len(mine), 2_000):
            client.subscribe(name, mine[start : start + 2_000])
    client.close()


threading.Thread(target=subscribe, daemon=True).start()
app.worker_main(["worker", "-P", "threads", "-l", "error", "-n", f"bench{os.getpid()}@%h"])
