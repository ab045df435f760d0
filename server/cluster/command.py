"""`vivant serve --ray`: the flags, and what they mean. Ray is imported when they are used."""

from __future__ import annotations

import argparse
import importlib.util
from dataclasses import dataclass
from typing import Self

from server.config import SettingsError

LOCAL = "local"


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """How many workers there are to be, and where.

    Attributes:
        address: of a Ray cluster; `local` starts one of this machine, which ends with us.
        workers: at least so many are to run.
        cores: that each may use.
        most: workers that there may be when they are needed; 0 for no more.
    """

    address: str = LOCAL
    workers: int = 1
    cores: float = 1.0
    most: int = 0

    @classmethod
    def of(cls, options: argparse.Namespace) -> Self:
        """Reads the flags.

        Raises:
            SettingsError: a number is impossible.
        """
        workers, cores = options.ray_workers, options.ray_cores
        if not 1 <= workers <= 10_000:
            raise SettingsError(f"--ray-workers must be from 1 to 10000, not {workers}.")
        if not 0.1 <= cores <= 1024:
            raise SettingsError(f"--ray-cores must be from 0.1 to 1024, not {cores:g}.")
        most = options.ray_most_workers
        if most is not None and not workers <= most <= 10_000:
            raise SettingsError(f"--ray-most-workers must be from {workers} to 10000, not {most}.")
        return cls(options.ray, workers, cores, most or 0)

    @property
    def largest(self) -> int:
        """How many workers there may be."""
        return self.most or self.workers


def require_ray() -> None:
    """Accepts that Ray is installed.

    Raises:
        SettingsError: it is not.
    """
    if importlib.util.find_spec("ray") is None:
        raise SettingsError("--ray needs Ray: pip install 'vivant[ray]'.")


def add_ray(serve: argparse.ArgumentParser) -> None:
    """Adds the flags to `vivant serve`."""
    group = serve.add_argument_group("several machines (docs/scaling.md)")
    group.add_argument(
        "--ray",
        nargs="?",
        const=LOCAL,
        metavar="ADDRESS",
        help="be a gateway, with sessions on workers that Ray places: on the cluster at ADDRESS "
        "(auto finds it), or on one of this machine, which ends with us",
    )
    group.add_argument(
        "--ray-workers", type=int, default=1, metavar="N", help="at least so many (default: 1)"
    )
    group.add_argument(
        "--ray-most-workers",
        type=int,
        metavar="N",
        help="start more when places become few, up to N, and let them go when they have nothing "
        "to do (default: no more)",
    )
    group.add_argument(
        "--ray-cores", type=float, default=1.0, metavar="N", help="of each worker (default: 1)"
    )
