"""`python -m gateway`: one gateway process, until SIGTERM."""

import logging
import signal
import sys
import threading

from gateway.bootstrap import Gateway
from gateway.errors import GatewayError
from gateway.settings import from_environment
from storage.errors import StorageError

_LOOK_S = 1.0


def main() -> int:
    """Run until told to stop; 1 when it cannot go on: whoever started us starts us anew."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        gateway = Gateway(from_environment())
        gateway.start()
    except (GatewayError, StorageError, OSError) as error:
        sys.stderr.write(f"gateway: {error}\n")
        return 2
    while not stopping.wait(_LOOK_S):
        problem = gateway.problem()
        if problem:
            logging.getLogger(__name__).error("%s; ending", problem)
            return 1
    gateway.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
