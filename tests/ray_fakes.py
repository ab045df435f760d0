"""A gateway whose workers have the fake face and voice: `python -m tests.ray_fakes --ray ...`."""

from __future__ import annotations

import argparse
from functools import partial

import aioice.ice
import ray

from server.app import Parts
from server.cluster.command import ClusterOptions, add_ray
from server.cluster.ray_layout import serve_ray
from server.config import Settings, add_arguments
from tests.live_fakes import fake_parts


def loopback_parts(settings: Settings) -> Parts:
    """As `fake_parts`; the worker's sockets are on loopback, as the tests' viewers are."""
    aioice.ice.get_host_addresses = lambda *_, **__: ["127.0.0.1"]
    return fake_parts(settings)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    add_ray(parser)
    parser.add_argument("--anywhere", action="store_true", help="not on loopback alone")
    options = parser.parse_args()
    from tests import live_fakes, ray_fakes  # this module by its name, which workers import

    if options.anywhere:  # of several nodes on one machine, Ray would take the head for ours
        ray.init = partial(ray.init, _node_ip_address=options.host)
    make_parts = live_fakes.fake_parts if options.anywhere else ray_fakes.loopback_parts
    serve_ray(Settings.load(options), ClusterOptions.of(options), make_parts=make_parts)


if __name__ == "__main__":
    main()
