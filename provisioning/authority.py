"""The certificate authorities of one installation, and every certificate they sign.

Two authorities that do not trust each other: `devices-ca` signs terminals, sensor nodes and the
broker's device listener; `services-ca` signs gateways, API processes and the broker's services
listener. So a stolen terminal's certificate opens no door of the command room.

`Issuer` is what the rest of Xunhu may ask for. `Authority` answers it with keys in files under
HOME/pki (mode 0600), which suits development and one district; an authority with its keys in an
HSM or behind an intermediate answers the same questions in its place.

All keys are EC P-256, which the chip's TLS does fastest. Everything is valid from 2025-01-01:
a device whose clock stands at the build date must not find its certificate in the future.
"""

import datetime
import ipaddress
import json
import os
import secrets
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from provisioning.errors import AuthorityBrokenError, AuthorityMissingError, ProvisioningError
from storage import relay_keys
from storage.errors import StorageError

VALID_FROM = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)
VALID_UNTIL = datetime.datetime(2045, 1, 1, tzinfo=datetime.UTC)
NAME_CHARACTERS_MAX = 64  # RFC 5280, ub-common-name.
BROKER_NAMES_MAX = 32  # The certificate crosses the radio at every handshake: keep it short.
_BROKER_FOLDER, _DEVICES_LISTENER = "broker", "devices-listener"


class DeviceIdentity(NamedTuple):
    """What makes a device itself, and its NVS holds: certificate, private key, relay key.

    The first two DER; the third 32 bytes that the gateways derive for themselves.
    """

    certificate_der: bytes
    key_der: bytes
    relay_key: bytes


@dataclass(frozen=True)
class ServiceIdentity:
    """PEM files with which one process shows who it is on the services listener."""

    certificate_path: Path
    key_path: Path


@dataclass(frozen=True)
class BrokerIdentity:
    """PEM files of the broker's two listeners."""

    devices: ServiceIdentity
    services: ServiceIdentity


class Issuer(Protocol):
    """What an authority does, wherever its keys are."""

    @property
    def devices_ca_der(self) -> bytes:
        """The certificate a device trusts its broker by."""

    @property
    def devices_ca_path(self) -> Path:
        """PEM: the broker's device listener trusts devices by it."""

    @property
    def services_ca_path(self) -> Path:
        """PEM: services and the broker's services listener trust each other by it."""

    def issue_device(self, device_id: str) -> DeviceIdentity:
        """Return a new key and certificate; nothing of it is kept but the serial."""

    def issue_service(self, name: str) -> ServiceIdentity:
        """Return the files of a service, made at the first call for that name."""

    def issue_broker(self, names: Sequence[str]) -> BrokerIdentity:
        """Return the broker's files, valid for these DNS names and IP addresses."""


class Authority:
    """Both authorities with their keys in files under `home`/pki."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._devices = _CertificateAuthority.load(folder, "devices-ca")
        self._services = _CertificateAuthority.load(folder, "services-ca")
        try:
            self._relay_secret = relay_keys.make_secret(folder / relay_keys.FILE_NAME)
        except StorageError as error:
            raise AuthorityBrokenError(str(error)) from error

    @classmethod
    def create(cls, home: Path) -> Self:
        """Make both authorities; they appear complete or not at all.

        Raises:
            ProvisioningError: There is a `pki` folder already; it is left as it is.
        """
        folder = home / "pki"
        if folder.exists():
            raise ProvisioningError(f"{folder} exists; an authority is never made twice")
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = home / f"pki.unfinished-{secrets.token_hex(4)}"
        unfinished.mkdir(mode=0o700)
        try:
            for name in ("devices-ca", "services-ca"):
                _CertificateAuthority.create(unfinished, name)
            unfinished.rename(folder)
        except OSError as error:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise ProvisioningError(f"cannot make an authority in {folder}: {error}") from error
        return cls(folder)

    @classmethod
    def load(cls, home: Path) -> Self:
        """Open the authority under `home`/pki.

        Raises:
            AuthorityMissingError: No authority was ever made here.
            AuthorityBrokenError: A file is missing, unreadable or does not fit the others.
        """
        folder = home / "pki"
        if not folder.exists():
            raise AuthorityMissingError(f"there is no certificate authority in {folder}")
        return cls(folder)

    @classmethod
    def open(cls, home: Path) -> Self:
        """Load the authority, or create it if there is none; a broken one stays an error."""
        try:
            return cls.load(home)
        except AuthorityMissingError:
            return cls.create(home)

    @property
    def devices_ca_der(self) -> bytes:
        """The devices' authority as DER."""
        return self._devices.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def devices_ca_path(self) -> Path:
        """The devices' authority as a PEM file."""
        return self._devices.certificate_path

    @property
    def services_ca_path(self) -> Path:
        """The services' authority as a PEM file."""
        return self._services.certificate_path

    def issue_device(self, device_id: str) -> DeviceIdentity:
        """Return a new identity for a device; its id becomes the certificate's common name.

        The caller has checked the id (`wire_protocol.topics.check_device_id`) and stores
        `certificate_serial` of the result with the device.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._devices.sign(device_id, key, ExtendedKeyUsageOID.CLIENT_AUTH)
        self._record("devices-ca", certificate)
        key_der = key.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        certificate_der = certificate.public_bytes(serialization.Encoding.DER)
        serial = certificate_serial(certificate_der)
        relay_key = relay_keys.device_key(self._relay_secret, device_id, serial)
        return DeviceIdentity(certificate_der, key_der, relay_key)

    def issue_service(self, name: str) -> ServiceIdentity:
        """Return the identity of a service such as `gateway-1`, made once and then found again."""
        return self._issue_files(self._services, "services", name, None)

    def issue_broker(self, names: Sequence[str]) -> BrokerIdentity:
        """Return the broker's identity, made anew when the names changed.

        Args:
            names: What devices may call the broker, first the main one: DNS names or IP
                addresses, 1..BROKER_NAMES_MAX. The services listener gets them too, beside
                `localhost` and 127.0.0.1.
        """
        if not 1 <= len(names) <= BROKER_NAMES_MAX:
            raise ProvisioningError(f"{len(names)} broker names; 1 to {BROKER_NAMES_MAX} can be")
        local = [*names, *(name for name in ("localhost", "127.0.0.1") if name not in names)]
        return BrokerIdentity(
            self._issue_files(self._devices, _BROKER_FOLDER, _DEVICES_LISTENER, names),
            self._issue_files(self._services, _BROKER_FOLDER, "services-listener", local),
        )

    def broker_names(self) -> list[str]:
        """Return the names in the certificate that devices were last shown; [] before any."""
        path = self.folder / _BROKER_FOLDER / f"{_DEVICES_LISTENER}.pem"
        try:
            certificate = x509.load_pem_x509_certificate(path.read_bytes())
        except (OSError, ValueError):
            return []
        return _names_of(certificate)

    def issue_web(self, names: Sequence[str]) -> ServiceIdentity:
        """Return the identity of the console's HTTPS, made anew when the names changed."""
        return self._issue_files(self._services, "web", "console", names)

    def _issue_files(
        self,
        authority: "_CertificateAuthority",
        group: str,
        name: str,
        names: Sequence[str] | None,
    ) -> ServiceIdentity:
        folder = self.folder / group
        files = ServiceIdentity(folder / f"{name}.pem", folder / f"{name}.key.pem")
        if _still_good(files, authority, names):
            return files
        key = ec.generate_private_key(ec.SECP256R1())
        usage = (
            ExtendedKeyUsageOID.CLIENT_AUTH if names is None else ExtendedKeyUsageOID.SERVER_AUTH
        )
        certificate = authority.sign(name if names is None else names[0], key, usage, names or ())
        self._record(authority.name, certificate)
        folder.mkdir(mode=0o700, exist_ok=True)
        _write_private(files.key_path, _key_pem(key))
        _write_private(
            files.certificate_path, certificate.public_bytes(serialization.Encoding.PEM)
        )
        return files

    def _record(self, authority: str, certificate: x509.Certificate) -> None:
        """Append one line: an authority must be able to say what it ever signed."""
        line = {
            "issued_s": int(time.time()),
            "authority": authority,
            "serial": f"{certificate.serial_number:x}",
            "name": _common_name(certificate),
        }
        path = self.folder / "issued.jsonl"
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "ab") as file:
            file.write(json.dumps(line).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


def certificate_serial(certificate_der: bytes) -> str:
    """Return a certificate's serial as lower-case hexadecimal, as the registry keeps it."""
    return f"{x509.load_der_x509_certificate(certificate_der).serial_number:x}"


class _CertificateAuthority:
    """One certificate that signs, with its key."""

    def __init__(self, folder: Path, name: str, key: ec.EllipticCurvePrivateKey) -> None:
        self.name = name
        self.certificate_path = folder / f"{name}.pem"
        self.certificate = x509.load_pem_x509_certificate(self.certificate_path.read_bytes())
        self._key = key

    @classmethod
    def create(cls, folder: Path, name: str) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        # A word of its own in the name: a device of another installation is then refused with
        # "unknown authority" and not with a signature that fails for no visible reason.
        subject = _name(f"Xunhu {name} {secrets.token_hex(4)}")
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        certificate = (
            _builder(subject, subject, key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .add_extension(identifier, critical=False)
            .sign(key, hashes.SHA256())
        )
        _write_private(folder / f"{name}.key.pem", _key_pem(key))
        _write_private(
            folder / f"{name}.pem", certificate.public_bytes(serialization.Encoding.PEM)
        )

    @classmethod
    def load(cls, folder: Path, name: str) -> Self:
        try:
            pem = (folder / f"{name}.key.pem").read_bytes()
            key = serialization.load_pem_private_key(pem, password=None)
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                raise AuthorityBrokenError(f"{folder}/{name}.key.pem: not an elliptic-curve key")
            authority = cls(folder, name, key)
        except (OSError, ValueError) as error:
            raise AuthorityBrokenError(
                f"{folder} is there but {name} cannot be read ({error}). Restore the folder "
                "from a backup: with a new authority every device must be flashed again."
            ) from error
        if authority.certificate.public_key() != key.public_key():
            raise AuthorityBrokenError(
                f"{folder}/{name}.pem and {name}.key.pem do not belong together"
            )
        return authority

    def sign(
        self,
        name: str,
        key: ec.EllipticCurvePrivateKey,
        usage: x509.ObjectIdentifier,
        reached_as: Sequence[str] = (),
    ) -> x509.Certificate:
        if not 1 <= len(name) <= NAME_CHARACTERS_MAX:
            raise ProvisioningError(
                f"{name!r}: a common name has 1 to {NAME_CHARACTERS_MAX} characters"
            )
        public = key.public_key()
        issuer_key = self._key.public_key()
        builder = (
            _builder(_name(name), self.certificate.subject, public)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False
            )
        )
        if reached_as:
            names = x509.SubjectAlternativeName([_general_name(text) for text in reached_as])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(VALID_FROM)
        .not_valid_after(VALID_UNTIL)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _common_name(certificate: x509.Certificate) -> str:
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def _names_of(certificate: x509.Certificate) -> list[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name.value) for name in names]


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        pass
    try:
        return x509.DNSName(text)
    except ValueError as error:
        raise ProvisioningError(f"{text!r} is no DNS name and no IP address: {error}") from error


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner reads; it appears whole."""
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def _still_good(
    files: ServiceIdentity, authority: _CertificateAuthority, names: Sequence[str] | None
) -> bool:
    """Tell whether files made earlier fit together, this authority and these names."""
    try:
        certificate = x509.load_pem_x509_certificate(files.certificate_path.read_bytes())
        key = serialization.load_pem_private_key(files.key_path.read_bytes(), password=None)
        certificate.verify_directly_issued_by(authority.certificate)
    except Exception:  # noqa: BLE001 - whatever is wrong with it, a new one replaces it
        return False
    if certificate.public_key() != key.public_key():
        return False
    if names is None:
        return True
    wanted = [_general_name(text) for text in names]
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return list(found) == wanted
