"""RTP payloads: laid out as RFC 9628 has it, whole again at the other end, and decodable."""

from __future__ import annotations

import av
import numpy as np
import pytest
from aiortc import RTCPeerConnection
from hypothesis import given
from hypothesis import strategies as st

from server.encoder import VideoCodec, VideoEncoder
from server.payloads import MOST, PICTURE_IDS, av1_payloads, vp9_payloads
from server.rtp_codecs import Av1Packer, Vp9Packer, give_packer
from tests.test_encoder import SIZE, open_decoder, picture


def test_a_complete_vp9_picture_in_one_packet_is_laid_out_as_the_rfc_has_it() -> None:
    (payload,) = vp9_payloads(b"picture", picture_id=0x1234, is_keyframe=True)
    # I P L F B E V Z: a picture id, not predicted, layer indices, flexible, begins and ends,
    # no scalability structure, no upper layer.
    assert payload[0] == 0b10111101
    assert payload[1:3] == bytes([0x80 | 0x12, 0x34])  # M: the id has 15 bits
    assert payload[3] == 0  # TID, U, SID and D
    assert payload[4:] == b"picture"


def test_a_predicted_vp9_picture_names_the_one_before_it() -> None:
    (payload,) = vp9_payloads(b"difference", picture_id=5, is_keyframe=False)
    assert payload[0] == 0b11111101
    assert payload[1:4] == bytes([0x80, 5, 0])
    assert payload[4] == 0b00000010  # P_DIFF is 1, and N: no more of them
    assert payload[5:] == b"difference"


def test_only_the_first_and_the_last_packet_of_a_vp9_picture_say_so() -> None:
    payloads = vp9_payloads(bytes(3 * MOST), picture_id=0, is_keyframe=True)
    assert len(payloads) == 4
    assert [(payload[0] >> 3) & 1 for payload in payloads] == [1, 0, 0, 0]  # B
    assert [(payload[0] >> 2) & 1 for payload in payloads] == [0, 0, 0, 1]  # E
    assert len({payload[1:3] for payload in payloads}) == 1


@given(st.binary(min_size=1, max_size=5 * MOST), st.booleans(), st.integers(0, PICTURE_IDS - 1))
def test_a_vp9_picture_is_whole_again(data: bytes, is_keyframe: bool, picture_id: int) -> None:
    payloads = vp9_payloads(data, picture_id=picture_id, is_keyframe=is_keyframe)
    assert all(len(payload) <= MOST for payload in payloads)
    assert b"".join(vp9_content(payload) for payload in payloads) == data


def vp9_content(payload: bytes) -> bytes:
    """Returns what follows the descriptor, read bit by bit as RFC 9628, section 4.2 tells."""
    bits, position = payload[0], 1
    if bits & 0x80:
        position += 2 if payload[position] & 0x80 else 1
    is_flexible = bool(bits & 0x10)
    if bits & 0x20:
        position += 1 if is_flexible else 2
    if is_flexible and bits & 0x40:
        while payload[position] & 1:
            position += 1
        position += 1
    assert not bits & 0x02  # no scalability structure
    return payload[position:]


async def test_a_sender_packs_vp9_that_can_be_decoded() -> None:
    connection = RTCPeerConnection()
    sender = connection.addTransceiver("video").sender
    give_packer(sender, VideoCodec.VP9)
    packer = sender._RTCRtpSender__encoder  # type: ignore[attr-defined]
    encoder = VideoEncoder(VideoCodec.VP9, size=SIZE, fps=25, bitrate=2_000_000)
    decoder = open_decoder(VideoCodec.VP9)
    ids = []
    for index in range(10):
        packet = encoder.encode(picture(index), 640 * index, is_keyframe=index == 6)
        payloads, timestamp = packer.pack(packet)
        assert timestamp == 3600 * index
        ids.append(int.from_bytes(payloads[0][1:3], "big") & 0x7FFF)
        assert bool(payloads[0][0] & 0x40) == (index not in (0, 6))
        whole = b"".join(vp9_content(payload) for payload in payloads)
        (frame,) = decoder.decode(av.Packet(whole))
        error = frame.to_ndarray(format="rgb24").astype(int) - picture(index)
        assert np.sqrt((error**2).mean()) < 20
    assert ids == [(ids[0] + index) % PICTURE_IDS for index in range(10)]
    await connection.close()


def test_the_picture_id_begins_again_after_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.randrange", lambda count: count - 1)
    packer = Vp9Packer()
    encoder = VideoEncoder(VideoCodec.VP9, size=64, fps=25, bitrate=100_000)
    ids = []
    for index in range(2):
        image = np.zeros((64, 64, 3), np.uint8)
        payloads, _ = packer.pack(encoder.encode(image, 640 * index, is_keyframe=False))
        ids.append(payloads[0][1:3])
    assert ids == [b"\xff\xff", b"\x80\x00"]


DELIMITER = b"\x12\x00"  # an OBU of kind 2, empty, that tells its size


def obu(kind: int, content: bytes) -> bytes:
    """Returns an OBU that tells its size, in two bytes: seven bits each, the lowest first."""
    return bytes([kind << 3 | 2, 0x80 | len(content) & 0x7F, len(content) >> 7]) + content


def test_an_av1_picture_in_one_packet_is_laid_out_as_the_specification_has_it() -> None:
    unit = DELIMITER + obu(1, b"sequence") + obu(6, b"frame")
    (payload,) = av1_payloads(unit, is_keyframe=True)
    assert payload[0] == 0b00001000  # Z, Y, W: every element tells its length; N: a new sequence
    # no temporal delimiter, and no sizes in the OBUs
    assert payload[1:] == b"\x09" + b"\x08sequence" + b"\x06" + b"\x30frame"
    (payload,) = av1_payloads(DELIMITER + obu(6, b"frame"), is_keyframe=False)
    assert payload == b"\x00\x06\x30frame"


def test_an_av1_obu_of_several_packets_says_where_it_goes_on() -> None:
    payloads = av1_payloads(DELIMITER + obu(6, bytes(3 * MOST)), is_keyframe=False)
    assert [payload[0] >> 6 for payload in payloads] == [0b01, 0b11, 0b11, 0b10]  # Z, Y
    assert all(len(payload) <= MOST for payload in payloads)


@given(
    st.lists(st.tuples(st.sampled_from((1, 3, 4, 6)), st.binary(max_size=3 * MOST)), min_size=1),
    st.booleans(),
)
def test_av1_obus_are_whole_again(obus: list[tuple[int, bytes]], is_keyframe: bool) -> None:
    unit = DELIMITER + b"".join(obu(kind, content) for kind, content in obus)
    payloads = av1_payloads(unit, is_keyframe=is_keyframe)
    assert all(len(payload) <= MOST for payload in payloads)
    assert av1_obus(payloads) == [bytes([kind << 3]) + content for kind, content in obus]


def test_an_av1_extension_is_kept_and_a_tile_list_is_not() -> None:
    layered = bytes([6 << 3 | 0b110, 0x20, 4]) + b"tile"
    (payload,) = av1_payloads(layered + obu(8, b"list"), is_keyframe=False)
    assert payload == b"\x00\x06" + bytes([6 << 3 | 0b100, 0x20]) + b"tile"


@pytest.mark.parametrize("unit", [b"\x30frame", b"\x32\x7fframe", b"\x32\xff", b"\x32"])
def test_what_is_no_av1_is_refused(unit: bytes) -> None:
    with pytest.raises(ValueError, match=r"byte \d"):
        av1_payloads(unit, is_keyframe=False)


def av1_obus(payloads: list[bytes]) -> list[bytes]:
    """Returns the OBUs of one picture, put together as section 4.4 tells a receiver."""
    obus: list[bytes] = []
    for payload in payloads:
        assert payload[0] & 0b00110000 == 0  # W
        position, is_first = 1, True
        while position < len(payload):
            size = shift = 0
            while True:
                byte = payload[position]
                size |= (byte & 0x7F) << shift
                position, shift = position + 1, shift + 7
                if not byte & 0x80:
                    break
            element = payload[position : position + size]
            assert len(element) == size
            if is_first and payload[0] & 0x80:
                obus[-1] += element
            else:
                obus.append(element)
            position, is_first = position + size, False
    return obus


def test_av1_that_was_packed_can_be_decoded() -> None:
    packer, decoder = Av1Packer(), open_decoder(VideoCodec.AV1)
    encoder = VideoEncoder(VideoCodec.AV1, size=SIZE, fps=25, bitrate=2_000_000)
    for index in range(10):
        packet = encoder.encode(picture(index), 640 * index, is_keyframe=index == 6)
        payloads, timestamp = packer.pack(packet)
        assert timestamp == 3600 * index
        assert bool(payloads[0][0] & 0x08) == (index in (0, 6))
        unit = b"".join(obu(part[0] >> 3, part[1:]) for part in av1_obus(payloads))
        (frame,) = decoder.decode(av.Packet(DELIMITER + unit))
        error = frame.to_ndarray(format="rgb24").astype(int) - picture(index)
        assert np.sqrt((error**2).mean()) < 20


def test_a_packer_takes_no_pictures() -> None:
    with pytest.raises(TypeError, match="before they reach the sender"):
        Vp9Packer().encode(object())
