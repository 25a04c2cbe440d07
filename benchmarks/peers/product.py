"""This project as it is used: a Celery worker, a session opened and subscribed through the client.

`python -m benchmarks.peers.product FORM WS_URL REDIS_URL TOPIC...`; FORM is `OKWS_PUBLISH`. The worker is this process.
"""

import os
import sys
import threading
import time

form, ws_url, redis_url, topics = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
os.environ |= {"OKWS_REDIS_URL": redis_url, "OKWS_WS_URL": ws_url, "OKWS_REST_URL": "http://127.0.0.1:9"}
os.environ |= {"OKWS_PUBLISH": form, "OKWS_BACKFILL": "0"}

import okws_celery  # noqa: E402  # the settings come first
from okws_celery.celery import app  # noqa: E402


def subscribe() -> None:
    client = okws_celery.client(timeout=30)
    while client.open_ws("bench")["errorCode"] not in (80000, 80001):
        time.sleep(0.2)
    for start in range(0, len(topics), 200):
        client.subscribe("bench", topics[start : start + 200])
    client.close()


threading.Thread(target=subscribe, daemon=True).start()
app.worker_main(["worker", "-P", "threads", "-l", "error", "-n", f"bench{os.getpid()}@%h"])
