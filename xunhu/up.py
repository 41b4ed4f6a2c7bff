"""`xunhu up`: everything on one machine, started in order, kept running, stopped in order.

Migrates once, before anything starts. Owns ports, certificates and the order of start; what each
part does is its own business.
"""

import ipaddress
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fleet_api.users.service import (
    create_first_admin,
    disable_demo_operator,
    ensure_demo_operator,
)
from provisioning.authority import Authority, ServiceIdentity
from storage.registry import Registry, migrate, open_registry
from xunhu import demo, demo_devices
from xunhu.broker import Listeners, answers, broker_command
from xunhu.errors import XunhuError
from xunhu.home import Home
from xunhu.processes import Command, Processes

logger = logging.getLogger(__name__)

START_WAIT_S = 30.0
_CONSOLE = Path(__file__).parent.parent / "console" / "dist"


@dataclass(frozen=True)
class Wanted:
    """What `xunhu up` was asked for.

    Attributes:
        listen: Where broker and API can be reached; only loopback without HTTPS.
        name: A further name in their certificates, for real boards.
        devices_port, services_port, api_port: TCP ports; API process n listens on api_port + n.
        gateways, apis: How many processes of each, 1..16.
        terminals, sensor_nodes: Virtual devices of the demo; without `demo` none are started.
        witness: Each virtual device notes what was done to it (devices/ID/witness.jsonl).
    """

    demo: bool = False
    listen: str = "127.0.0.1"
    name: str | None = None
    devices_port: int = 8883
    services_port: int = 8884
    api_port: int = 8080
    gateways: int = 1
    apis: int = 1
    terminals: int = 20
    sensor_nodes: int = 4
    witness: bool = False

    @property
    def certificate_names(self) -> list[str]:
        """What the broker and the console may be called, the main name first."""
        names = [self.name] if self.name else []
        names += ["localhost", "127.0.0.1"]
        if self.is_public:
            names += self.addresses
        return list(dict.fromkeys(names))

    @property
    def is_public(self) -> bool:
        """Whether others than this machine can reach it: then the console is HTTPS."""
        return not _is_loopback(self.listen)

    @property
    def addresses(self) -> list[str]:
        """Where it is reached, the best first: never 0.0.0.0, which is no address to go to."""
        return _own_addresses() if _is_everywhere(self.listen) else [self.listen]

    @property
    def near(self) -> str:
        """The address by which this machine itself reaches it."""
        return "127.0.0.1" if _is_everywhere(self.listen) else self.listen


class Up:
    """One running installation."""

    def __init__(self, home: Home, wanted: Wanted, say: Callable[[str], None]) -> None:
        home.make()
        self._home = home
        self._wanted = wanted
        self._say = say
        self._processes = Processes(home.logs)
        self._stopping = threading.Event()

    def run(self) -> None:
        """Start everything, print where it is, and stay until SIGTERM or Ctrl-C.

        Raises:
            XunhuError: A part cannot start; the others are stopped again.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stopping.set())
        try:
            self._start()
            self._processes.watch(self._stopping.is_set)
        finally:
            self._processes.stop()

    def _start(self) -> None:
        self._check_ports()
        authority = Authority.open(self._home.folder)
        migrate(self._home.registry_url)
        registry = open_registry(self._home.registry_url)
        try:
            self._make_administrator(registry)
            self._start_servers(authority)
            login = self._prepare_demo(registry, authority)
        finally:
            registry.close()
        if self._wanted.demo:
            arguments = [sys.executable, "-m", "provisioning.fleet", str(self._home.folder)]
            self._processes.start(Command("virtual-devices", arguments))
        self._greet(login)

    def _make_administrator(self, registry: Registry) -> None:
        """Print the password as soon as it counts: a later part may fail, and nothing keeps it."""
        password = create_first_admin(registry)
        if password is not None:
            self._say(f"  administrator 管理员 (shown once 仅显示一次)   admin  {password}")

    def _check_ports(self) -> None:
        wanted = self._wanted
        host = wanted.near
        ports = [(host, wanted.devices_port), ("127.0.0.1", wanted.services_port)]
        ports += [(host, wanted.api_port + number) for number in range(wanted.apis)]
        for address, port in ports:
            if answers(address, port):
                raise XunhuError(
                    f"port {port} on {address} is in use: is Xunhu running already? "
                    "(choose others with --api-port, --devices-port, --services-port)"
                )

    def _start_servers(self, authority: Authority) -> None:
        wanted = self._wanted
        identity = authority.issue_broker(wanted.certificate_names)
        listeners = Listeners(
            devices_address=wanted.listen,
            devices_port=wanted.devices_port,
            services_port=wanted.services_port,
        )
        broker = broker_command(self._home.folder / "broker", listeners, authority, identity)
        self._processes.start_and_wait(
            broker, lambda: answers("127.0.0.1", wanted.services_port), START_WAIT_S
        )
        for number in range(1, wanted.gateways + 1):
            environment = self._service_environment(authority, f"gateway-{number}", number)
            arguments = [sys.executable, "-m", "gateway"]
            self._processes.start(Command(f"gateway-{number}", arguments, environment))
        for number in range(1, wanted.apis + 1):
            self._start_api(authority, number)

    def _start_api(self, authority: Authority, number: int) -> None:
        wanted = self._wanted
        port = wanted.api_port + number - 1
        environment = self._service_environment(authority, f"api-{number}", number)
        environment |= {
            "XUNHU_API_HOST": wanted.listen,
            "XUNHU_API_PORT": str(port),
            "XUNHU_CONSOLE_DIR": str(_CONSOLE),
        }
        if wanted.is_public:
            web = authority.issue_web(wanted.certificate_names)
            environment |= {
                "XUNHU_API_TLS_CERT": str(web.certificate_path),
                "XUNHU_API_TLS_KEY": str(web.key_path),
            }
        command = Command(f"api-{number}", [sys.executable, "-m", "fleet_api"], environment)
        self._processes.start_and_wait(command, lambda: answers(wanted.near, port), START_WAIT_S)

    def _service_environment(self, authority: Authority, name: str, number: int) -> dict[str, str]:
        service: ServiceIdentity = authority.issue_service(name)
        return {
            "XUNHU_HOME": str(self._home.folder),
            "XUNHU_INSTANCE": str(number),
            "XUNHU_REGISTRY_URL": self._home.registry_url,
            "XUNHU_BROKER_PORT": str(self._wanted.services_port),
            "XUNHU_BROKER_CA": str(authority.services_ca_path),
            "XUNHU_BROKER_CERT": str(service.certificate_path),
            "XUNHU_BROKER_KEY": str(service.key_path),
        }

    def _prepare_demo(self, registry: Registry, authority: Authority) -> tuple[str, str] | None:
        wanted = self._wanted
        if not wanted.demo:
            disable_demo_operator(registry, demo.LOGIN_NAME)
            return None
        district, devices = demo.make_demo(wanted.terminals, wanted.sensor_nodes)
        demo.write_village_map(self._home, district)
        demo_devices.store_areas(registry, district)
        password = demo.demo_password(self._home)
        ensure_demo_operator(registry, demo.LOGIN_NAME, password)
        broker = (wanted.near, wanted.devices_port, wanted.certificate_names[0])
        for device in devices:
            demo_devices.flash_demo_device(
                self._home, registry, authority, device, broker, witness=wanted.witness
            )
        return demo.LOGIN_NAME, password

    def _greet(self, login: tuple[str, str] | None) -> None:
        wanted = self._wanted
        self._say("")
        if wanted.is_public:
            self._greet_others()
        else:
            self._say(f"  Xunhu 巡护      http://{wanted.listen}:{wanted.api_port}/")
        if login is not None:
            self._say(f"  demo 演示登录   {login[0]}  {login[1]}")
        self._say(f"  logs 日志       {self._home.logs}")
        if wanted.demo:
            self._say("  try 试一试      .venv/bin/xunhu press sos t-0001")
        self._say("  stop 停止       Ctrl-C")
        self._say("")

    def _greet_others(self) -> None:
        """Say what browsers and boards elsewhere must know."""
        wanted = self._wanted
        address = wanted.addresses[0]
        authority = self._home.folder / "pki" / "services-ca.pem"
        broker_name = wanted.name or address
        self._say(f"  Xunhu 巡护      https://{wanted.name or address}:{wanted.api_port}/")
        self._say(f"  browsers trust 浏览器需信任   {authority}")
        self._say(
            f"  boards 烧录终端 xunhu image --broker {address}:{wanted.devices_port}"
            f" --broker-name {broker_name} ..."
        )


def _own_addresses() -> list[str]:
    """Return this machine's IPv4 addresses, the one that others use first; loopback if none."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            # Sends nothing: the kernel only chooses a route, and with it an address.
            asking.connect(("192.0.2.1", 9))
            found.append(asking.getsockname()[0])
        except OSError:
            logger.debug("no default route: addresses by the host's name only")
    try:
        found += socket.gethostbyname_ex(socket.gethostname())[2]
    except OSError:
        logger.debug("the host's own name is not known")
    return [each for each in dict.fromkeys(found) if not _is_loopback(each)] or ["127.0.0.1"]


def _is_everywhere(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_unspecified
    except ValueError:
        return False


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"
