"""What a device is told: all of it arrives, and what it could not use names field and limit."""

import json

import pytest

from provisioning.configuration import DeviceConfig, parse_address, parse_network
from provisioning.errors import ProvisioningError

BROKER = ("192.0.2.1", 8883, "broker.example")


def told(**more):
    return json.loads(DeviceConfig(*BROKER, **more).as_bytes())


def test_networks_modem_and_relay_are_told():
    networks = tuple((f"village-{number}", "12345678") for number in range(8))
    config = told(networks=networks, apn="internet.example", relay=True)
    assert [tuple(row) for row in config["networks"]] == list(networks)
    assert config["apn"] == "internet.example"
    assert config["relay"] is True


def test_what_a_device_has_not_takes_none_of_its_memory():
    assert not {"apn", "relay"} & set(told())


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"apn": "a" * 101}, "at most 100 characters"),
        ({"apn": 'x"\r\nATD112;'}, "APN .*letters, digits, - and ."),
        ({"apn": "internet."}, "APN 'internet.'"),
        ({"apn": "内网"}, "APN '内网'"),
        ({"relay": True, "device_kind": "sensor_node"}, "relay: a sensor_node has no SOS"),
        ({"networks": (("a", ""),) * 9}, "9 networks, at most 8"),
        ({"networks": (("巡" * 11, ""),)}, "1 to 32 bytes"),
        ({"networks": (("a", "1234567"),)}, "8 to 63 bytes"),
        ({"device_kind": "drone"}, "'drone', not terminal or sensor_node"),
    ],
)
def test_what_it_could_not_use_is_refused(more, says):
    with pytest.raises(ProvisioningError, match=says):
        DeviceConfig(*BROKER, **more)


def test_the_longest_name_of_an_access_point_is_taken():
    assert told(apn="a" * 100)["apn"] == "a" * 100


@pytest.mark.parametrize("port", [0, 65_536])
def test_a_port_that_is_none_is_refused(port):
    with pytest.raises(ProvisioningError, match=f"broker port {port}, 1 to 65535"):
        DeviceConfig("192.0.2.1", port, "broker.example")


@pytest.mark.parametrize("host", ["", "ho st", "[2001:db8::1]", "a" * 254, "主机"])
def test_a_name_that_no_broker_can_have_is_refused(host):
    with pytest.raises(ProvisioningError, match=r"broker_host .*DNS name or an IPv4.* 1 to 253"):
        DeviceConfig(host, 8883, "broker.example")
    with pytest.raises(ProvisioningError, match=r"broker_name .*DNS name or an IPv4"):
        DeviceConfig("192.0.2.1", 8883, host)


def test_the_command_line_names_networks_and_addresses():
    assert parse_network("village:1234:678") == ("village", "1234:678")
    assert parse_network("open") == ("open", "")
    assert parse_address("192.0.2.1:8883") == ("192.0.2.1", 8883)
    for wrong in ("host", ":8883", "host:x", "host:-1", "host:１"):
        with pytest.raises(ProvisioningError, match="is not HOST:PORT"):
            parse_address(wrong)
