"""What a node does to the store: pinned only if every byte came back, secrets never told."""

import asyncio
import traceback

import httpx
import pytest

from airflow_cwf.adapters.storage.kubo import KuboLimits, KuboStore
from airflow_cwf.core.errors import CidMismatchError, ConfigError, StorageError, VerificationError
from airflow_cwf.core.evidence.batch_car import batch_blocks
from airflow_cwf.core.evidence.batch_document import LogId, compose_batch
from airflow_cwf.core.evidence.car import car_pieces, record_car
from airflow_cwf.core.evidence.cid import raw_cid
from tests.fakes.kubo_node import SECRET, KuboNode, Turn, saying

RECORD = b'{"format":"cwf/1"}'
ROOT = raw_cid(RECORD)
OTHER = raw_cid(b"another")
CAR = record_car(RECORD)
TIGHT = KuboLimits(reply_bytes=2_000, reply_seconds=0.3, import_seconds=0.3)
RECORDS = {f"0x{number:064x}": b'{"n":%d}' % number for number in range(20)}
LOG = LogId("eip155:1", "0x" + "c0" * 20, "0x" + "5b" * 20)
BATCH = batch_blocks(
    compose_batch(LOG, leaves=[], records=[raw_cid(data) for data in RECORDS.values()]), RECORDS
)
TOKEN = f"Bearer {SECRET}"


def under(script, action, *, limits=TIGHT, needs=None, gives=None):
    """Return the action's result or error, and the node."""

    async def run():
        async with KuboNode(script, authorization=needs) as node, httpx.AsyncClient() as http:
            store = KuboStore(node.url, http=http, authorization=gives, limits=limits)
            try:
                return await action(store), node
            except (StorageError, ConfigError, VerificationError) as error:
                return error, node

    result, node = asyncio.run(run())
    if isinstance(result, Exception):
        assert SECRET not in "".join(traceback.format_exception(result))
        assert "127.0.0.1" not in str(result)
    return result, node


def pin(store):
    return store.pin(ROOT, CAR)


def read(store):
    return store.read(ROOT, max_bytes=100)


async def pin_and_read(store):
    await pin(store)
    return await read(store)


def test_a_record_is_imported_read_back_and_pinned():
    result, node = under({}, pin_and_read)
    assert result == RECORD
    assert node.blocks == {str(ROOT): RECORD}
    assert node.pins == {str(ROOT)}
    assert node.calls == {"dag/import": 1, "block/get": 2, "pin/add": 1}
    assert node.options["dag/import"]["pin-roots"] == "true"
    assert node.options["pin/add"] == {
        "arg": str(ROOT),
        "recursive": "true",
        "cid-base": "base32",
    }


def test_a_record_is_read_back_from_the_node_itself():
    _, node = under({}, pin)
    assert node.options["block/get"] == {"arg": str(ROOT), "offline": "true"}


def test_every_block_of_a_batch_is_read_back_a_few_at_a_time():
    root = BATCH[0].cid
    result, node = under({}, lambda store: store.pin(root, b"".join(car_pieces(root, BATCH))))
    assert result is None
    assert node.blocks == {str(block.cid): block.data for block in BATCH}
    assert node.pins == {str(root)}
    assert node.calls["block/get"] == len(BATCH)
    assert 1 < node.most_at_once <= 9  # eight reads, and a connection that is closing


def test_pinning_again_does_no_harm():
    async def twice(store):
        await pin(store)
        await pin(store)

    result, node = under({}, twice)
    assert result is None
    assert node.pins == {str(ROOT)}


@pytest.mark.parametrize(
    "bytes_back",
    [b"", RECORD[:-1], RECORD + b"\n", RECORD.replace(b"1", b"2"), b"x" * 5_000],
    ids=["none", "cut", "one more", "changed", "far more"],
)
def test_other_bytes_than_were_given_are_not_pinned(bytes_back):
    result, node = under({"block/get": [saying(bytes_back)]}, pin)
    assert isinstance(result, CidMismatchError)
    assert node.calls["pin/add"] == 0


def test_one_wrong_block_of_a_batch_is_enough():
    root = BATCH[0].cid
    turns = [Turn()] * 13 + [saying(b"other")]
    result, node = under(
        {"block/get": turns}, lambda store: store.pin(root, b"".join(car_pieces(root, BATCH)))
    )
    assert isinstance(result, CidMismatchError)
    assert node.calls["pin/add"] == 0


@pytest.mark.parametrize(
    "turn",
    [
        saying(b""),
        saying(b"{}\n"),
        saying(b'{"Stats":{"BlockCount":1,"BlockBytesCount":18}}\n'),
        saying(b'{"Root":null}\n'),
        saying(b'{"Root":{"Cid":{"/":"%s"},"PinErrorMsg":""}}\n' % str(OTHER).encode()),
        saying(b'{"Root":{"Cid":"x","PinErrorMsg":""}}\n'),
        saying(b'{"Root":{"Cid":{"/":"%s"},"PinErrorMsg":"no space"}}' % str(ROOT).encode()),
        saying(b"[]"),
        saying(b"[" * 1_900),
        saying(b"<html>"),
        saying(b"\xff\xfe"),
        saying(b"9" * 1_900),
    ],
)
def test_an_import_that_is_not_confirmed_is_not_read_back(turn):
    result, node = under({"dag/import": [turn]}, pin)
    assert isinstance(result, StorageError)
    assert node.calls["block/get"] == 0


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"{}",
        b'{"Pins":[]}',
        b'{"Pins":"x"}',
        b'{"Pins":[null]}',
        b'{"Progress":3}',
        b"null",
        b'{"Pins":["%s"]}' % str(OTHER).encode(),
    ],
)
def test_a_pin_that_does_not_name_the_root_does_not_count(reply):
    result, _ = under({"pin/add": [saying(reply)]}, pin)
    assert isinstance(result, StorageError)


LINE_FAULTS = {
    "dropped": Turn(drops=True),
    "cut": Turn(cut=3),
    "slow": Turn(delay_s=0.6),
    "busy": saying(b"busy", status=503),
    "asks for patience": saying(b"", status=429),
    "bad gateway": saying(b"<html>http://internal/", status=502),
    "a redirect": saying(b"", status=307, location="http://127.0.0.1:9/"),
    "giant": saying(b"x" * 9_000, status=500),
    "giant when unpacked": Turn(headers={"content-encoding": "gzip"}),
}


@pytest.mark.parametrize("command", ["dag/import", "block/get", "pin/add"])
@pytest.mark.parametrize("fault", LINE_FAULTS.values(), ids=LINE_FAULTS)
def test_a_fault_of_the_line_is_not_a_pin_and_may_be_repeated(command, fault):
    result, _ = under({command: [fault]}, pin)
    assert isinstance(result, StorageError)
    assert result.retry == "same"


def test_after_a_lost_reply_pinning_again_succeeds():
    async def again(store):
        with pytest.raises(StorageError):
            await pin(store)
        await pin(store)

    for command in ("dag/import", "pin/add"):
        result, node = under({command: [Turn(drops=True)]}, again)
        assert result is None
        assert node.pins == {str(ROOT)}


def test_another_block_than_asked_for_fails_check_2():
    result, _ = under({"block/get": [saying(b"another")]}, read)
    assert isinstance(result, VerificationError)
    assert result.check == 2


def test_a_block_longer_than_asked_for_is_refused():
    result, _ = under({"block/get": [saying(b"x" * 101)]}, read)
    assert isinstance(result, StorageError)


def test_a_block_that_the_node_lacks_is_told_in_its_own_words():
    result, _ = under({}, read)
    assert isinstance(result, StorageError)
    assert "not found locally" in str(result)


def test_a_nodes_words_are_told_short_on_one_line_and_without_urls():
    words = "at\nhttp://10.0.0.1:5001/x?key=1 \x1b[31m" + "y" * 900
    body = (
        b'{"Message":%s,"Code":0,"Type":"error"}'
        % repr(words).replace("'", '"').replace("\\x1b", "\\u001b").encode()
    )
    result, _ = under({"pin/add": [saying(body, status=500)]}, pin)
    text = str(result)
    assert "10.0.0.1" not in text
    assert text.isprintable()
    assert len(text) < 300
    assert "HTTP 500" in text
    assert "<url>" in text


def test_the_authorization_header_opens_the_node():
    result, _ = under({}, pin_and_read, needs=TOKEN, gives=TOKEN)
    assert result == RECORD


@pytest.mark.parametrize("gives", ["Bearer other", TOKEN + "x"])
def test_a_refused_header_asks_for_the_connection_to_be_checked(gives):
    result, node = under({}, pin, needs=TOKEN, gives=gives)
    assert isinstance(result, ConfigError)
    assert "Authorization" in str(result)
    assert gives not in str(result)
    assert node.calls == {"dag/import": 1}


def test_a_gateway_is_not_an_rpc_api():
    result, _ = under({"dag/import": [saying(b"404 page not found", status=404)]}, pin)
    assert isinstance(result, ConfigError)
    assert "gateway" in str(result)


def test_a_car_of_another_root_is_not_sent():
    result, node = under({}, lambda store: store.pin(OTHER, CAR))
    assert isinstance(result, VerificationError)
    assert node.calls == {}
    result, node = under({}, lambda store: store.pin(ROOT, CAR[:-1]))
    assert isinstance(result, VerificationError)
    assert node.calls == {}


def test_a_version_is_told():
    assert under({}, KuboStore.version)[0] == "0.38.1"
    for reply in (b"", b"{}", b'{"Version":7}'):
        assert isinstance(under({"version": [saying(reply)]}, KuboStore.version)[0], StorageError)


@pytest.mark.parametrize("suffix", ["", "/", "/api/v0", "/api/v0/"])
def test_the_url_may_name_the_api_or_not(suffix):
    async def run():
        async with KuboNode() as node, httpx.AsyncClient() as http:
            return await KuboStore(node.url + suffix, http=http).version()

    assert asyncio.run(run()) == "0.38.1"


@pytest.mark.parametrize(
    "url", ["", f"{SECRET}:5001", f"ftp://{SECRET}", "http://", f"http://a:{SECRET}/"]
)
def test_what_is_no_url_is_refused_without_being_told(url):
    with pytest.raises(ConfigError) as refused:
        KuboStore(url, http=httpx.AsyncClient())
    assert SECRET not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", f"http://[{SECRET}"])
def test_a_node_that_is_not_there_is_told(url):
    async def run():
        async with httpx.AsyncClient() as http:
            await KuboStore(url, http=http).pin(ROOT, CAR)

    with pytest.raises(StorageError, match="No reply from the IPFS node to dag/import") as refused:
        asyncio.run(run())
    assert SECRET not in str(refused.value)
