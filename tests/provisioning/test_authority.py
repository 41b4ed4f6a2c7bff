"""The authority: what it signs is trusted by its own side only, and it is never lost silently."""

import json
import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from provisioning.authority import BROKER_NAMES_MAX, VALID_FROM, Authority, certificate_serial
from provisioning.errors import AuthorityBrokenError, AuthorityMissingError, ProvisioningError


def _pem(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def _handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> ssl.SSLObject:
    """Run a TLS handshake in memory; returns the server's side."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    far = server.wrap_bio(to_server, to_client, server_side=True)
    near = client.wrap_bio(to_client, to_server, server_hostname=name)
    for side in (near, far) * 4:
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return far


def _contexts(authority: Authority, folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The broker's device listener, and a device that has only what its NVS holds."""
    broker = authority.issue_broker(["broker.example", "192.0.2.7"])
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_verify_locations(authority.devices_ca_path)
    server.load_cert_chain(broker.devices.certificate_path, broker.devices.key_path)
    identity = authority.issue_device("t-0001")
    key = serialization.load_der_private_key(identity.key_der, None)
    certificate = x509.load_der_x509_certificate(identity.certificate_der)
    pem = folder / "device.pem"
    pem.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(cadata=authority.devices_ca_der)
    client.load_cert_chain(pem)
    return server, client


@pytest.mark.parametrize("name", ["broker.example", "192.0.2.7"])
def test_device_and_broker_shake_hands(authority: Authority, tmp_path: Path, name: str):
    far = _handshake(*_contexts(authority, tmp_path), name)
    peer = far.getpeercert()
    assert peer is not None
    assert peer["subject"] == ((("commonName", "t-0001"),),)


def test_device_refuses_a_broker_of_another_name(authority: Authority, tmp_path: Path):
    with pytest.raises(ssl.SSLCertVerificationError, match=r"other\.example"):
        _handshake(*_contexts(authority, tmp_path), "other.example")


def test_device_cannot_play_the_broker(authority: Authority, tmp_path: Path):
    """Its certificate is for clients: another device must refuse it, whatever the name."""
    _, client = _contexts(authority, tmp_path)
    client.check_hostname = False
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "device.pem")
    with pytest.raises(ssl.SSLCertVerificationError, match="purpose"):
        _handshake(server, client, "t-0001")


def test_a_device_is_a_stranger_on_the_services_listener(authority: Authority, tmp_path: Path):
    _, client = _contexts(authority, tmp_path)
    broker = authority.issue_broker(["broker.example"])
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_verify_locations(authority.services_ca_path)
    server.load_cert_chain(broker.services.certificate_path, broker.services.key_path)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    with pytest.raises(ssl.SSLError, match=r"(?i)certificate"):
        _handshake(server, client, "broker.example")


def test_everything_is_valid_from_before_the_build_date(authority: Authority):
    identity = authority.issue_device("s-0001")
    service = authority.issue_service("gateway-1")
    certificates = [
        x509.load_der_x509_certificate(identity.certificate_der),
        x509.load_der_x509_certificate(authority.devices_ca_der),
        _pem(service.certificate_path),
        _pem(authority.services_ca_path),
    ]
    assert {certificate.not_valid_before_utc for certificate in certificates} == {VALID_FROM}


def test_keys_are_for_their_owner_only(authority: Authority):
    authority.issue_service("api-1")
    authority.issue_broker(["localhost"])
    files = [path for path in authority.folder.rglob("*") if path.is_file()]
    assert files
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_every_signature_is_recorded(authority: Authority):
    identity = authority.issue_device("t-0001")
    authority.issue_service("gateway-1")
    authority.issue_service("gateway-1")
    lines = (authority.folder / "issued.jsonl").read_text().splitlines()
    issued = [(json.loads(line)["authority"], json.loads(line)["name"]) for line in lines]
    assert issued == [("devices-ca", "t-0001"), ("services-ca", "gateway-1")]
    assert json.loads(lines[0])["serial"] == certificate_serial(identity.certificate_der)


def test_broker_files_stay_until_the_names_change(authority: Authority):
    first = authority.issue_broker(["a.example"]).devices.certificate_path.read_bytes()
    again = authority.issue_broker(["a.example"]).devices.certificate_path.read_bytes()
    other = authority.issue_broker(
        ["a.example", "b.example"]
    ).devices.certificate_path.read_bytes()
    assert first == again != other


def test_a_key_that_does_not_fit_is_replaced(authority: Authority):
    files = authority.issue_service("gateway-1")
    stranger = authority.issue_service("gateway-2")
    files.key_path.write_bytes(stranger.key_path.read_bytes())
    ssl.create_default_context().load_cert_chain(
        authority.issue_service("gateway-1").certificate_path, files.key_path
    )


@pytest.mark.parametrize("names", [[], ["localhost"] * (BROKER_NAMES_MAX + 1), ["n\u00e4me"]])
def test_broker_names_have_limits(authority: Authority, names: list[str]):
    with pytest.raises(ProvisioningError):
        authority.issue_broker(names)


@pytest.mark.parametrize("name", ["", "x" * 65])
def test_a_common_name_has_limits(authority: Authority, name: str):
    with pytest.raises(ProvisioningError, match="1 to 64"):
        authority.issue_device(name)


def test_missing_is_told_from_broken(tmp_path: Path):
    with pytest.raises(AuthorityMissingError):
        Authority.load(tmp_path)
    Authority.open(tmp_path)
    (tmp_path / "pki" / "devices-ca.key.pem").write_bytes(b"")
    with pytest.raises(AuthorityBrokenError, match=r"devices-ca.*backup"):
        Authority.open(tmp_path)


def test_an_empty_folder_is_broken_and_stays_as_it_is(tmp_path: Path):
    (tmp_path / "pki").mkdir()
    with pytest.raises(AuthorityBrokenError):
        Authority.open(tmp_path)
    with pytest.raises(ProvisioningError, match="never made twice"):
        Authority.create(tmp_path)
    assert list((tmp_path / "pki").iterdir()) == []


def test_a_foreign_key_is_broken(tmp_path: Path):
    folder = Authority.create(tmp_path).folder
    (folder / "devices-ca.key.pem").write_bytes((folder / "services-ca.key.pem").read_bytes())
    with pytest.raises(AuthorityBrokenError, match="belong together"):
        Authority.load(tmp_path)


def test_a_reloaded_authority_signs_for_the_same_root(tmp_path: Path):
    root = Authority.create(tmp_path).devices_ca_der
    identity = Authority.load(tmp_path).issue_device("t-0002")
    certificate = x509.load_der_x509_certificate(identity.certificate_der)
    certificate.verify_directly_issued_by(x509.load_der_x509_certificate(root))


def test_an_authority_says_what_its_broker_is_called(authority: Authority):
    assert authority.broker_names() == []
    authority.issue_broker(["broker.example", "192.0.2.7"])
    assert authority.broker_names() == ["broker.example", "192.0.2.7"]
    authority.issue_broker(["other.example"])
    assert authority.broker_names() == ["other.example"]
