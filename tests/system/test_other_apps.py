"""From elsewhere: the README's lines in a folder of their own, and apps that have a Celery of their own."""

from __future__ import annotations

from pathlib import Path

from houses import House, Shared

OTHER_SHOP = """
    import celeryconfig
    from celery import Celery
    from celery import current_app

    shop = Celery("shop")
    shop.config_from_object(celeryconfig)

    @shop.task
    def bill():
        return "paid"

    from okws_celery import tasks

    # Ours is beside theirs: it took nothing over, and sends to its own queue on the broker that it was told.
    assert current_app._get_current_object() is shop
    assert bill.app is shop and shop.conf.task_default_queue == "shop"
    name = "{name}"
    tasks.open_ws.delay(name)
    answer = tasks.subscribe.delay(name, ["tickers:BTC-USDT", "trades:ETH-USDT"]).get(timeout=20)
    assert answer["errorCode"] == 80000, answer
    assert answer["topics"]["trades:ETH-USDT"]["errorCode"] == 80000
    assert name in tasks.servers.delay().get(timeout=20)["message"]
    assert tasks.unsubscribe.delay(name, "trades:ETH-USDT").get(timeout=20)["errorCode"] == 80000
    assert tasks.close_ws.delay(name).get(timeout=20)["errorCode"] == 80000
    assert tasks.close_ws.delay(name).get(timeout=20)["errorCode"] == 80011
    assert tasks.subscribe.delay(name, "tickers:BTC-USDT").get(timeout=20)["errorCode"] == 80011
    print("well")
"""


def test_app_with_its_own_celery(shared: Shared, name: str, tmp_path: Path) -> None:
    """A shop with a Celery app, a celeryconfig.py and exported Celery variables uses the tasks unchanged."""
    (tmp_path / "celeryconfig.py").write_text('task_default_queue = "shop"\ntask_ignore_result = True\n')
    said = shared.house.python(
        OTHER_SHOP.replace("{name}", name),
        cwd=tmp_path,
        CELERY_BROKER_URL="redis://127.0.0.1:1/7",
        CELERY_BROKER_WRITE_URL="redis://127.0.0.1:1/7",
        CELERY_RESULT_BACKEND="redis://127.0.0.1:1/7",
    )
    assert said.strip() == "well"


def test_worker_beside_another_application(house: House, name: str, tmp_path: Path) -> None:
    """Our worker ignores the other's variables and celeryconfig.py, and takes none of its tasks."""
    (tmp_path / "celeryconfig.py").write_text('task_default_queue = "shop"\nworker_concurrency = 1\n')
    variables = {"CELERY_BROKER_URL": "redis://127.0.0.1:1/7", "CELERY_RESULT_BACKEND": "redis://127.0.0.1:1/7"}
    with house.worker(**variables), house.client() as client:
        house.python(
            f"""
            from celery import Celery
            shop = Celery("shop", broker="{house.redis_url}")
            shop.send_task("shop.bill")
            """
        )
        assert client.open_ws(name)["errorCode"] == 80000
        assert client.close_ws(name)["errorCode"] == 80000
        assert house.registry().redis.llen("celery") == 1


def test_queries_without_celery(shared: Shared, tmp_path: Path) -> None:
    """Reading loads neither Celery nor the sessions, nor does making a client."""
    said = shared.house.python(
        """
        import sys
        import okws_celery
        from okws_celery import query
        client = okws_celery.client()
        assert query.get("nobody", "tickers:BTC-USDT") == {}
        assert query.get("nobody", "trades", {"instrument_id": "BTC-USDT", "n": 2}) == []
        assert query.status("nobody")["status"] == ""
        assert isinstance(query.servers(), list)
        assert client.topics("nobody") == {}
        loaded = {name.partition(".")[0] for name in sys.modules}
        print(sorted(loaded & {"celery", "kombu", "websocket", "aiohttp"}))
        print(sorted(name for name in sys.modules if name.startswith(("okws_celery.session", "okws_celery.tasks"))))
        """,
        cwd=tmp_path,
    )
    assert said.split() == ["[]", "[]"]
