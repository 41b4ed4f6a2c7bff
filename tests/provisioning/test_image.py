"""The flash image: everything that was put in is found again, and nothing else is taken."""

import json
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from provisioning import application
from provisioning import image as composing
from provisioning.application import (
    FIRMWARE,
    SLOT_BLOCK_BYTES,
    build_application,
    built_s,
)
from provisioning.authority import Authority, DeviceIdentity
from provisioning.configuration import DeviceConfig
from provisioning.errors import ImageError
from provisioning.file_system import make_file_system, read_file_system
from provisioning.image import Official, compose_image, load_official, vfs_image
from provisioning.nvs import BLOB_BYTES_MAX, compose_nvs, read_nvs
from provisioning.partitions import BLOCK_BYTES, FLASH_BYTES, parse_table, partition
from tests.official_image import OFFICIAL, needs_official


@pytest.fixture(name="identity", scope="module")
def fixture_identity(tmp_path_factory: pytest.TempPathFactory) -> DeviceIdentity:
    return Authority.create(tmp_path_factory.mktemp("home")).issue_device("t-0001")


@pytest.fixture(name="flash")
def fixture_flash(identity: DeviceIdentity, config: DeviceConfig) -> bytes:
    return compose_image(
        device_id="t-0001",
        identity=identity,
        ca_der=b"authority",
        config=config,
        application=build_application("esp32_devkit"),
        official=Official("none", b"\xe9boot", b"\xe9micropython"),
    )


def _cut(flash: bytes, label: str) -> bytes:
    place = partition(label)
    return flash[place.address : place.end]


def test_everything_stands_where_the_table_says(flash: bytes):
    assert len(flash) == FLASH_BYTES
    assert flash[0x1000:0x1005] == b"\xe9boot"
    rows = parse_table(flash[0x8000:0x9000])
    assert _cut(flash, "ota_0").startswith(b"\xe9micropython")
    for label in ("ota_1", "app_b", "journal", "phy_init"):
        assert _cut(flash, label).strip(b"\xff") == b"", label
    assert [row.label for row in rows][-1] == "journal"


def test_the_boot_loader_is_told_to_start_ota_0(flash: bytes):
    entry = _cut(flash, "otadata")[:32]
    sequence, state = entry[:4], entry[24:28]
    assert (int.from_bytes(sequence, "little") - 1) % 2 == 0
    assert int.from_bytes(state, "little") == 2  # Valid, so no update on trial.
    assert int.from_bytes(entry[28:], "little") == zlib.crc32(sequence, 0xFFFFFFFF)


def test_identity_and_settings_are_in_nvs(flash: bytes, identity: DeviceIdentity):
    held = read_nvs(_cut(flash, "nvs"))
    config = json.loads(held.pop("config"))
    assert held == {
        "id": b"t-0001",
        "cert": identity.certificate_der,
        "key": identity.key_der,
        "ca": b"authority",
        "relay": identity.relay_key,
    }
    assert config["broker_host"] == "192.0.2.1"
    assert config["networks"] == [["巡护", "12345678"]]


def test_vfs_holds_boot_code_and_rescue_agent_as_source(flash: bytes):
    files = read_file_system(_cut(flash, "vfs"), BLOCK_BYTES)
    build = json.loads(files.pop("rescue.json"))
    assert (build["board"], build["built_s"]) == ("esp32_devkit", built_s())
    index, _, contents = files.pop("rescue.pack").partition(b"\n")
    assert files == {
        name: (FIRMWARE / name).read_bytes()
        for name in ("boot.py", "boots.py", "main.py", "flash.py", "packed.py")
    }
    words = index.decode().split()
    modules = {}
    for path, at in zip(words[::2], words[1::2], strict=True):
        modules[path] = zlib.decompressobj().decompress(contents[int(at) :]).decode()
    assert {"rescue/start.py", "rescue/agent.py", "rescue/last_words.py"} <= set(modules)
    for path, source in modules.items():
        compile(source, path, "exec")
        # A longer one would take more memory to compile than the chip's first heap has.
        assert len(source) < 9_000, path
        # It must work without an application.
        assert "/app" not in source, path


def test_vfs_has_room_for_what_comes():
    image = vfs_image("virtual")
    used = [at for at in range(0, len(image), BLOCK_BYTES) if image[at : at + 4096].strip(b"\xff")]
    assert len(used) <= 18


def test_the_slot_holds_bytecode_and_its_build(flash: bytes):
    files = read_file_system(_cut(flash, "app_a"), SLOT_BLOCK_BYTES)
    build = json.loads(files.pop("build.json"))
    assert build == {
        "version": (FIRMWARE / "VERSION").read_text().strip(),
        "board": "esp32_devkit",
        "built_s": built_s(),
        "hash": build_application("esp32_devkit").hash,
    }
    assert {"device/start.mpy", "board.mpy"} <= set(files)
    for name, content in files.items():
        # 'M', version 6, then flags: no native code for any processor.
        assert content[:2] == b"M\x06", name
        assert content[2] & ~0x03 == 0, name


def test_the_slot_holds_only_what_the_device_reaches():
    names = set(build_application("esp32_devkit").files)
    assert not {"wire_protocol/explain.mpy", "flash.mpy", "boot.mpy", "main.mpy"} & names
    assert not [name for name in names if name.startswith(("provisioning", "storage"))]


def test_the_same_source_gives_the_same_slot():
    first = build_application("virtual")
    application._build_application.cache_clear()
    assert build_application("virtual").slot_image == first.slot_image


def test_many_threads_can_ask_at_once():
    """A rig prepares its boards side by side; each switch of threads hits the middle of a tree."""
    application._build_application.cache_clear()
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            built = list(pool.map(build_application, ["virtual", "esp32_devkit"] * 4))
    finally:
        sys.setswitchinterval(interval_s)
    assert len({id(each) for each in built}) == 2


def test_a_fixed_build_date_is_taken(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1750000000")
    assert built_s() == 1_750_000_000


def test_an_unknown_board_is_refused():
    with pytest.raises(ImageError, match="esp32_devkit, virtual"):
        build_application("arduino")


def test_files_that_do_not_fit_are_refused():
    with pytest.raises(ImageError, match="do not fit"):
        make_file_system({"big": b"x" * 9000}, 8192, 512)


def test_a_file_system_is_read_back():
    files = {"a": b"", "b/c/d.mpy": b"x" * 5000, "b/e": b"y" * 127, "z": b"\xff" * 600}
    assert read_file_system(make_file_system(files, 65536, 512), 512) == files


def test_what_is_no_file_system_is_said_to_be_none():
    with pytest.raises(ImageError, match="no littlefs"):
        read_file_system(b"\xff" * 65536, 4096)


@pytest.mark.parametrize("size", [1, 31, 32, 33, 3000, BLOB_BYTES_MAX])
def test_nvs_gives_back_blobs_of_any_size(size: int):
    blobs = {"cert": bytes(number % 256 for number in range(size)), "id": b"t-0001"}
    assert read_nvs(compose_nvs(blobs)) == blobs


def test_nvs_gives_back_blobs_over_several_pages():
    blobs = {key: key.encode() * 2500 for key in ("a", "b", "c", "d")}
    assert read_nvs(compose_nvs(blobs)) == blobs


@pytest.mark.parametrize("size", [0, BLOB_BYTES_MAX + 1])
def test_nvs_refuses_what_the_device_could_not_read(size: int):
    with pytest.raises(ImageError, match="1 to"):
        compose_nvs({"config": b"x" * size})


def test_nvs_refuses_what_does_not_fit():
    with pytest.raises(ImageError, match="do not fit"):
        compose_nvs({str(number): b"x" * BLOB_BYTES_MAX for number in range(6)})


def test_a_flipped_bit_in_nvs_is_found(flash: bytes, identity: DeviceIdentity):
    nvs = bytearray(_cut(flash, "nvs"))
    nvs[nvs.index(identity.key_der) + 50] ^= 1
    with pytest.raises(ImageError, match="checksum"):
        read_nvs(bytes(nvs))


def test_an_image_that_nobody_knows_is_refused(tmp_path: Path):
    path = tmp_path / "ESP32_GENERIC-20250911-v1.26.1.bin"
    path.write_bytes(b"\xe9" * 100_000)
    with pytest.raises(ImageError, match="none of the images"):
        load_official(path)


def test_a_missing_image_is_said_to_be_missing(tmp_path: Path):
    with pytest.raises(ImageError, match="cannot read"):
        load_official(tmp_path / "none.bin")


@needs_official
def test_the_official_image_is_taken_and_placed(
    identity: DeviceIdentity, config: DeviceConfig, tmp_path: Path
):
    flash = compose_image(
        device_id="t-0001",
        identity=identity,
        ca_der=b"authority",
        config=config,
        application=build_application("esp32_devkit"),
        official=load_official(OFFICIAL),
    )
    content = OFFICIAL.read_bytes()
    assert flash[0x1000:0x8000] == content[:0x7000]
    assert flash[0x10000:].startswith(content[0xF000:])
    # esptool reads our image as it would flash it.
    (tmp_path / "ota_0.bin").write_bytes(_cut(flash, "ota_0")[: len(content) - 0xF000])
    command = [sys.executable, "-m", "esptool", "--chip", "esp32", "image-info"]
    said = subprocess.run(
        [*command, str(tmp_path / "ota_0.bin")], capture_output=True, text=True, check=True
    ).stdout
    assert "(valid)" in said


@needs_official
@pytest.mark.parametrize("at", [0, 0x7010, 0x20000, -1])
def test_the_official_image_with_a_flipped_byte_is_refused(at: int, tmp_path: Path):
    content = bytearray(OFFICIAL.read_bytes())
    content[at] ^= 1
    path = tmp_path / OFFICIAL.name
    path.write_bytes(content)
    with pytest.raises(ImageError, match="none of the images"):
        load_official(path)


@needs_official
def test_esptool_is_asked_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Even an image whose hash somebody pinned by mistake must be sound."""
    content = bytearray(OFFICIAL.read_bytes())
    content[0x20000] ^= 1
    path = tmp_path / "broken.bin"
    path.write_bytes(content)
    digest = composing.hashlib.sha256(content).hexdigest()
    monkeypatch.setitem(composing.OFFICIAL_IMAGES, digest, "broken.bin")
    with pytest.raises(ImageError, match="esptool refuses"):
        load_official(path)
