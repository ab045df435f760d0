"""How the benchmarks and the tests start Chromium without a screen."""

from typing import Final

CHROMIUM_FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--allow-loopback-in-peer-connection",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
)
SOUND_ALLOWED: Final = "--autoplay-policy=no-user-gesture-required"
# As on a phone: a finger points, and nothing hovers (Blink's own numbers).
FINGERS: Final = (
    "--blink-settings=availablePointerTypes=2,primaryPointerType=2,"
    "availableHoverTypes=1,primaryHoverType=1"
)
# A script for new pages: `peers` is every connection that the page has made, in order.
REMEMBER_PEERS: Final = """
window.peers = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...options) { super(...options); peers.push(this); }
};
"""
