"""The one connection to InfluxDB: influxdb-client's async API behind calls that wait.

The client lives on an event loop of its own in a thread of its own; every wait has an end.
"""

import asyncio
import csv
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import aiohttp
from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync
from influxdb_client.domain.dialect import Dialect
from influxdb_client.domain.write_precision import WritePrecision
from influxdb_client.rest import ApiException

from storage.errors import StorageError, StoreAway

# A request of ours takes 0.1 s; a store that needs a hundred times that is away.
REQUEST_WAIT_S = 10
# Reading a long period may take longer, and nobody's receipt hangs on it.
QUERY_WAIT_S = 60
_CONNECTIONS_MAX = 8
# The lines themselves are at fault: too old, of a wrong type, not line protocol, or too many. Any
# other answer may come from a proxy, a wrong address or a sick server: the lines are kept.
_LINES_REFUSED = (413, 422)
_UNPARSED = "unable to parse"
_REASON_CHARACTERS_MAX = 300
_Answer = TypeVar("_Answer")


class PointsRefusedError(Exception):
    """InfluxDB will never take some line of this request; the others may be stored or not."""


@dataclass(frozen=True)
class InfluxAddress:
    """Where the bucket is.

    Attributes:
        url: `http://HOST:PORT` or `https://...`.
        token: What may read, write and delete in the bucket.
    """

    url: str
    organisation: str
    bucket: str
    token: str

    @classmethod
    def parse(cls, url: str, token: str) -> "InfluxAddress":
        """Read `influxdb+http://HOST:PORT?org=ORG&bucket=BUCKET`; StorageError if it is not."""
        parts = urlsplit(url.removeprefix("influxdb+"))
        query = parse_qs(parts.query)
        organisation, bucket = (query.get(name, [""])[0] for name in ("org", "bucket"))
        if parts.scheme not in ("http", "https") or not (parts.netloc and organisation and bucket):
            raise StorageError(f"not influxdb+http://HOST:PORT?org=..&bucket=..: {url}")
        return cls(f"{parts.scheme}://{parts.netloc}{parts.path}", organisation, bucket, token)


class InfluxLink:
    """Waits for InfluxDB on behalf of any number of threads."""

    def __init__(self, address: InfluxAddress, wait_s: int = REQUEST_WAIT_S) -> None:
        self.address = address
        self._wait_s = wait_s
        self._loop = asyncio.new_event_loop()
        self._client: InfluxDBClientAsync | None = None
        # Ends with close().
        self._thread = threading.Thread(target=self._loop.run_forever, name="influx", daemon=True)
        self._thread.start()

    def write(self, lines: Sequence[str]) -> None:
        """Store lines; durable in InfluxDB's log when it returns.

        Raises:
            StoreAway: InfluxDB does not answer, or not with its own word on the lines.
            PointsRefusedError: It will never take some of them.
        """
        self.start(lines)()

    def start(self, lines: Sequence[str]) -> Callable[[], None]:
        """Begin a write; what is returned waits for its end, and raises as `write` does."""
        return self._begin(self._write("\n".join(lines)), self._wait_s)

    def query(self, flux: str) -> Iterator[dict[str, str]]:
        """Return the rows of a query, each value as InfluxDB writes it in CSV."""
        return _rows(self._wait(self._query(flux), QUERY_WAIT_S))

    def delete(self, start: str, stop: str, predicate: str) -> None:
        """Remove the points of a period (RFC 3339) that a predicate names."""
        self._wait(self._delete(start, stop, predicate), QUERY_WAIT_S)

    def close(self) -> None:
        """Close the connection and end the thread."""
        if not self._thread.is_alive():
            return
        asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result(REQUEST_WAIT_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(REQUEST_WAIT_S)
        self._loop.close()

    def _wait(self, answer: Coroutine[Any, Any, _Answer], wait_s: int) -> _Answer:
        return self._begin(answer, wait_s)()

    def _begin(self, answer: Coroutine[Any, Any, _Answer], wait_s: int) -> Callable[[], _Answer]:
        future = asyncio.run_coroutine_threadsafe(asyncio.wait_for(answer, wait_s), self._loop)

        def result() -> _Answer:
            try:
                return future.result()
            except ApiException as error:
                reason = f"{error.status} {error.message or error.reason}"[:_REASON_CHARACTERS_MAX]
                if error.status in _LINES_REFUSED or (error.status == 400 and _UNPARSED in reason):
                    raise PointsRefusedError(reason) from error
                raise StoreAway(f"InfluxDB is away: {reason}") from error
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                raise StoreAway(f"InfluxDB is away: {error or type(error).__name__}") from error

        return result

    async def _write(self, body: str) -> None:
        api = self._open().write_api()
        await api.write(bucket=self.address.bucket, record=body, write_precision=WritePrecision.NS)  # type: ignore[arg-type]

    async def _query(self, flux: str) -> str:
        dialect = Dialect(  # type: ignore[no-untyped-call]
            header=True, annotations=[], delimiter=",", comment_prefix="#"
        )
        text: str = await self._open().query_api().query_raw(flux, dialect=dialect)
        return text

    async def _delete(self, start: str, stop: str, predicate: str) -> None:
        api = self._open().delete_api()
        await api.delete(start, stop, predicate, self.address.bucket, self.address.organisation)

    async def _shut(self) -> None:
        if self._client is not None:
            await self._client.close()  # type: ignore[no-untyped-call]

    def _open(self) -> InfluxDBClientAsync:
        # Made inside the loop that it belongs to, which the client asks for.
        if self._client is None:
            self._client = InfluxDBClientAsync(
                self.address.url,
                token=self.address.token,
                org=self.address.organisation,
                timeout=QUERY_WAIT_S * 1000,
                connection_pool_maxsize=_CONNECTIONS_MAX,
            )
        return self._client


def _rows(text: str) -> Iterator[dict[str, str]]:
    """Read InfluxDB's CSV: tables apart by an empty line, each with a header of its own."""
    header: list[str] = []
    for row in csv.reader(text.splitlines()):
        if not row:
            header = []
        elif not header:
            header = row
        elif "error" in header:
            raise StorageError(f"InfluxDB refused a query: {row[header.index('error')]}")
        else:
            yield dict(zip(header, row, strict=True))
