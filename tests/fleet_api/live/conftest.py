"""One API process that hears a real broker, and a gateway that speaks on it."""

import pytest

from tests.fleet_api.broker import Producer


@pytest.fixture
def gateway(broker):
    producer = Producer(broker)
    yield producer
    producer.close()


@pytest.fixture
def server(start_api, broker, district):
    """One API process that hears the bus, over the district."""
    del district
    process = start_api("1", broker)
    process.wait_for_bus()
    return process
