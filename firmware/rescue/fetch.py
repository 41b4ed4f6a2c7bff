"""Fetches an application over the link: signed manifest, blocks, slot; then chooses the slot.

A block is fetched only if neither slot has it at its place, so a fetch that was cut short carries
on, and an update takes what changed. Every block is proved by its SHA-256 before it is written and
after, the slot as a whole once more at the end, and nothing is chosen before that. One block of
memory. Of everything that is refused the command room hears why.
"""

import asyncio
import hashlib

import flash
from boots import number
from device.errors import DeviceError
from esp32 import NVS, Partition

from wire_protocol import blocks

RETRY_MS, RETRY_MS_MAX = 60_000, 600_000
ANSWER_MS, ANSWER_MS_MAX = 5_000, 40_000
TRIES_MAX = 6  # Requests for one block without a new piece; a broken link has its own patience.
WRONG_MAX = 3  # Times that a block may come wrong.
_BLANK = b"\xff"
_SUPERBLOCKS = (0, 1)  # Of littlefs, both the same.


class Refused(DeviceError):
    """What the gateway offers must not, or cannot, be installed."""


class Unanswered(DeviceError):
    """The gateway does not answer: try again later."""


class Fetch:
    """Asks for an application until there is one."""

    def __init__(self, agent) -> None:
        self._agent = agent
        self._buffer = agent.buffer
        self._wanted = None  # (release, block) that pieces are taken of.
        self._missing = 0
        self._size = 0
        self._refusal = ""
        self._came = asyncio.Event()
        self._said = ""
        self._retry_ms = RETRY_MS

    async def run(self) -> None:
        """Try once, when there is a link; then wait for as long as it makes sense."""
        await self._agent.link.up.wait()
        try:
            await self._install()
        except Unanswered as error:
            print("rescue:", error)
        except Refused as error:
            if str(error) != self._said:
                # Once for each reason: the next try will say the same.
                self._said = str(error)
                self._agent.report("application refused: " + self._said)
        self._agent.busy = False
        self._wanted = None
        await asyncio.sleep_ms(self._retry_ms)
        self._retry_ms = min(2 * self._retry_ms, RETRY_MS_MAX)

    def on_block(self, payload: bytes) -> None:
        """Take a piece, or the word that there is none; WireError if it is neither."""
        piece = blocks.parse_piece(payload)
        if self._wanted is None or piece.block != self._wanted[1]:
            return
        if piece.release != self._wanted[0] and self._wanted[0]:
            return
        if not piece.pieces:
            self._refusal = str(piece.data, "utf-8")
        elif self._missing >> piece.piece & 1:
            at = piece.piece * blocks.PIECE_BYTES
            self._buffer[at : at + len(piece.data)] = piece.data
            # All pieces are full but the last one of a manifest.
            self._missing &= (1 << piece.pieces) - 1 & ~(1 << piece.piece)
            self._size = max(self._size, at + len(piece.data))
        self._came.set()

    async def _install(self) -> None:
        manifest = await self._manifest()
        target, other = self._slots()
        if self._is_there(other, manifest):
            # The very one that fails here: another one must be published first.
            raise _refused("release {} is installed".format(manifest.release))
        self._agent.busy = True
        if not self._is_there(target, manifest):
            # Cut short it must not be mounted: what makes it a file system goes first, comes last.
            for number_ in _SUPERBLOCKS:
                self._is_blank(_BLANK)
                target.writeblocks(number_, self._buffer)
        fetched = 0
        for number_ in range(len(manifest.digests) - 1, -1, -1):
            digest = manifest.digests[number_]
            if self._holds(target, number_, digest):
                continue
            if not self._holds(other, number_, digest) and not self._is_blank(digest):
                await self._fetch_block(manifest.release, number_, digest)
                fetched += 1
            target.writeblocks(number_, self._buffer)
            if not self._holds(target, number_, digest):
                raise _refused("flash does not keep block {}".format(number_))
            await asyncio.sleep_ms(0)
        if not self._is_there(target, manifest):
            raise _refused("slot is not the one of the manifest")
        label = target.info()[4]
        print("rescue:", fetched, "blocks fetched")
        await self._agent.hand_over()
        # In this order: cut in between, the next start comes back here and finds all blocks.
        self._agent.leave(
            "release {} in {}".format(manifest.release, label),
            ("release", manifest.release),
            ("boots", -1),
            ("slot", flash.SLOTS.index(label)),
        )

    async def _manifest(self) -> blocks.Manifest:
        """Return a manifest that may be followed."""
        board = self._agent.build["board"]
        await self._get(0, blocks.MANIFEST)
        content = bytes(memoryview(self._buffer)[: self._size])
        manifest, signed, signature = blocks.parse_manifest(content)
        if manifest.board != board:
            raise _refused("it is for {}, not {}".format(manifest.board, board))
        key = bytearray(64)
        try:
            NVS("xunhu").get_blob("release_key", key)
        except OSError:
            raise _refused("no release key in NVS")
        from rescue.signature import is_signed

        if not await is_signed(signed, signature, bytes(key)):
            raise _refused("signature of release {} is wrong".format(manifest.release))
        least = number("release")
        if manifest.release < least:
            raise _refused("release {} is older than {}".format(manifest.release, least))
        return manifest

    async def _fetch_block(self, release: int, block: int, digest: bytes) -> None:
        for _ in range(WRONG_MAX):
            await self._get(release, block)
            if hashlib.sha256(self._buffer).digest() == digest:
                return
            print("rescue: block", block, "came wrong")
        raise _refused("block {} of release {} is wrong".format(block, release))

    async def _get(self, release: int, block: int) -> None:
        """Fill the buffer with a block; its pieces come in any order."""
        board = self._agent.build["board"]
        self._wanted, self._size, self._refusal = (release, block), 0, ""
        self._missing = (1 << blocks.PIECES) - 1
        wait_ms, tries = ANSWER_MS, 0
        while self._missing:
            await self._agent.link.up.wait()
            before = self._missing
            request = blocks.make_request(board, release, block, before)
            self._agent.link.publish("block_request", request, 0)
            await self._pieces(wait_ms)
            if self._refusal:
                raise _refused("the gateway says: " + self._refusal)
            if self._missing == before:
                tries, wait_ms = tries + 1, min(2 * wait_ms, ANSWER_MS_MAX)
                if tries >= TRIES_MAX:
                    raise _unanswered("no answer to {} requests".format(tries))
            else:
                tries, wait_ms = 0, ANSWER_MS

    async def _pieces(self, wait_ms: int) -> None:
        """Wait until all are here, or none came for a while."""
        while self._missing and not self._refusal:
            self._came.clear()
            try:
                await asyncio.wait_for_ms(self._came.wait(), wait_ms)
            except asyncio.TimeoutError:
                return

    def _slots(self) -> tuple:
        """Return (the partition to write, the other one): never the one that can be mounted."""
        target = 1 - flash.SLOTS.index(flash.slot) if flash.slot else number("slot") & 1
        found = [Partition.find(Partition.TYPE_DATA, label=label)[0] for label in flash.SLOTS]
        return found[target], found[1 - target]

    def _holds(self, partition, block: int, digest: bytes) -> bool:
        """Read a block into the buffer and say whether it is the one of a digest."""
        partition.readblocks(block, self._buffer)
        return hashlib.sha256(self._buffer).digest() == digest

    def _is_blank(self, digest: bytes) -> bool:
        """Fill the buffer with an erased block and say whether that is the one of a digest."""
        for at in range(0, len(self._buffer), 256):
            self._buffer[at : at + 256] = _BLANK * 256
        return hashlib.sha256(self._buffer).digest() == digest

    def _is_there(self, partition, manifest) -> bool:
        """Say whether a slot is the one of a manifest, from its first byte to its last."""
        digest = hashlib.sha256()
        for block in range(len(manifest.digests)):
            partition.readblocks(block, self._buffer)
            digest.update(self._buffer)
        return digest.digest() == manifest.digest


# What a build makes of a text in a `raise` is a number; these texts are for people.
def _refused(text: str) -> Refused:
    return Refused(text)


def _unanswered(text: str) -> Unanswered:
    return Unanswered(text)
