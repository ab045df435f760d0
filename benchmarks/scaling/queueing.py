"""Erlang's formulas for many servers, which the simulation is checked against.

A. K. Erlang, "Solution of some problems in the theory of probabilities of significance in
automatic telephone exchanges", 1917. Numerically by the recursion for B, which never overflows.
"""

from __future__ import annotations


def erlang_b(servers: int, load: float) -> float:
    """Returns the share of calls lost by `servers` without a queue, at a load in erlangs.

    B(0) = 1, B(n) = a B(n-1) / (n + a B(n-1)).
    """
    blocked = 1.0
    for count in range(1, servers + 1):
        blocked = load * blocked / (count + load * blocked)
    return blocked


def erlang_c(servers: int, load: float) -> float:
    """Returns the share of calls that wait for one of `servers`, at a load below their number.

    Raises:
        ValueError: the queue would grow for ever.
    """
    if load >= servers:
        raise ValueError(f"{servers} servers cannot carry a load of {load:g} erlangs")
    blocked = erlang_b(servers, load)
    return servers * blocked / (servers - load * (1 - blocked))


def mean_wait(servers: int, load: float, mean_time: float) -> float:
    """Returns the mean wait of all calls, in the unit of `mean_time`, the mean length of one."""
    return erlang_c(servers, load) * mean_time / (servers - load)


def servers_for(load: float, waiting: float) -> int:
    """Returns the fewest servers with which at most a share of `waiting` calls waits."""
    servers = int(load) + 1
    while erlang_c(servers, load) > waiting:
        servers += 1
    return servers
