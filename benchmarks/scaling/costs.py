"""What things cost: measured figures with where they are from, and what is assumed, marked so."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Costs:
    """Of one kind of worker.

    Attributes:
        places: sessions of 512x512 at 25 pictures a second that two cores hold: docs/realtime.md,
            "sessions with p99 of the pause <= 60 ms" and where admission ends.
        cores: of such a worker.
        memory_mib: resident, with 3 sessions: docs/realtime.md, churn (641 MiB after the last).
        session_kbps: the default bit rate of a picture, and Opus.
        start_s: from asking Ray for a worker to its first report, on a machine that is there;
            measured here with the fake model, and what the real one adds is an assumption.
        boot_s: assumption: a new machine, from asking the cloud to its joining the cluster.
        resume_s: from the death of a worker until sound is back: docs/scaling.md.
    """

    places: int = 3
    cores: int = 2
    memory_mib: int = 641
    session_kbps: int = 1_500 + 64
    start_s: float = 20.0
    boot_s: float = 90.0
    resume_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Fleet:
    """What so many sessions at once take.

    Attributes:
        workers: of `Costs.places` each.
        cores: of all.
        memory_gib: of all.
        gbps: to viewers, from the workers' own sockets.
    """

    workers: int
    cores: int
    memory_gib: float
    gbps: float


def fleet(sessions: int, workers: int, costs: Costs) -> Fleet:
    """Returns what workers and their sessions take."""
    return Fleet(
        workers=workers,
        cores=workers * costs.cores,
        memory_gib=workers * costs.memory_mib / 1024,
        gbps=sessions * costs.session_kbps / 1e6,
    )


@dataclass(frozen=True, slots=True)
class FanOut:
    """One presenter and many viewers.

    Attributes:
        relays: machines that copy the stream, in all layers.
        layers: of them, the first of which takes the presenter's one stream by WHIP.
        tbps: to all viewers together.
        terabytes_an_hour: the same, as traffic is paid for.
    """

    relays: int
    layers: int
    tbps: float
    terabytes_an_hour: float


def fan_out(viewers: int, *, kbps: int, link_gbps: float = 10.0, share: float = 0.7) -> FanOut:
    """Returns how many relays a tree needs whose links are filled to a share.

    The worker sends one stream, whatever the number: RFC 9725 (WHIP) into the tree's root.
    """
    fan = int(link_gbps * share * 1e6 / kbps)
    relays, layers, streams = 0, 0, viewers
    while streams > 1:
        streams = -(-streams // fan)
        relays += streams
        layers += 1
    tbps = viewers * kbps / 1e9
    return FanOut(relays, layers, tbps, tbps / 8 * 3600)
