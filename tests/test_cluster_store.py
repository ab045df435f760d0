"""Stores: one rule for all, and what was acknowledged outlives `kill -9` of who wrote it."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.cluster.directory import MemoryDirectory
from server.cluster.file_store import FileStore
from server.cluster.orphans import Orphans
from server.cluster.port import Report
from server.cluster.store import MemoryStore, Record, Store, StoreError, Superseded
from tests.virtual_time import VirtualClock

_WRITER = """
import asyncio, itertools, random, sys
from pathlib import Path
from server.cluster.file_store import FileStore

async def one(store, name, seed):
    chance = random.Random(seed)
    record = await store.read(name)
    record = await store.take(name, f"worker-{seed}", after=record.epoch if record else 0)
    print("took", name, record.epoch, flush=True)
    for number in itertools.count():
        facts = f"{number}/" + "x" * chance.randrange(5_000)
        await store.write(name, record.epoch, facts)
        print("wrote", name, facts, flush=True)

async def main():
    store = FileStore(Path(sys.argv[1]))
    await asyncio.gather(*(one(store, f"session-{n}", int(sys.argv[2])) for n in range(4)))

asyncio.run(main())
"""
SECOND = 1_000_000_000  # ns


@asynccontextmanager
async def stores(folder: Path) -> AsyncIterator[list[Store]]:
    file = FileStore(folder / "sessions.db")
    try:
        yield [MemoryStore(), file]
    finally:
        file.close()


async def test_who_holds_a_session_alone_writes_it(tmp_path: Path) -> None:
    async with stores(tmp_path) as every:
        for store in every:
            assert await store.take("s", "a", after=0) == Record("s", "a", 1)
            await store.write("s", 1, "one")
            with pytest.raises(Superseded):
                await store.take("s", "b", after=0)  # it is not new
            assert await store.take("s", "b", after=1) == Record("s", "b", 2, "one")
            with pytest.raises(Superseded):
                await store.write("s", 1, "the dead speak")
            await store.forget("s", 1)
            assert await store.read("s") == Record("s", "b", 2, "one")
            assert await store.held() == [Record("s", "b", 2)]
            await store.forget("s", 2)
            assert await store.read("s") is None
            with pytest.raises(Superseded):
                await store.write("s", 2, "nor the gone")


async def test_of_many_who_take_a_session_up_one_does(tmp_path: Path) -> None:
    async with stores(tmp_path) as every:
        for store in every:
            await store.take("s", "dead", after=0)
            outcomes = await asyncio.gather(
                *(store.take("s", f"worker {n}", after=1) for n in range(20)),
                return_exceptions=True,
            )
            won = [each for each in outcomes if isinstance(each, Record)]
            assert len(won) == 1
            assert await store.read("s") == won[0]


async def test_a_session_to_which_nobody_comes_back_is_forgotten() -> None:
    clock, store = VirtualClock(), MemoryStore()
    directory = MemoryDirectory(clock)
    tried: list[str] = []

    async def rescue(session: str) -> None:  # in vain: there is no room
        tried.append(session)

    orphans = Orphans(store, directory, clock, patience=10, rescue=rescue)
    for session, worker in (("kept", "lives"), ("left", "dead"), ("found", "dead")):
        await store.take(session, worker, after=0)
    for second in range(12):
        await directory.report(Report("lives", "http://x", 1, 1, 0, 1, frozenset()))
        await orphans.look()
        if second == 5:
            await store.take("found", "dead, too", after=1)
        clock.jump(SECOND)
    assert {record.session for record in await store.held()} == {"kept", "found"}
    assert set(tried) == {"left", "found"}
    for _ in range(8):
        await orphans.look()
        clock.jump(SECOND)
    assert await store.read("found") is None


async def test_a_session_whose_worker_has_gone_is_taken_up_unasked() -> None:
    clock, store = VirtualClock(), MemoryStore()
    directory = MemoryDirectory(clock)

    async def rescue(session: str) -> None:
        await store.take(session, "lives", after=1)

    orphans = Orphans(store, directory, clock, patience=10, rescue=rescue)
    await store.take("s", "dead", after=0)
    await directory.report(Report("lives", "http://x", 1, 1, 0, 1, frozenset()))
    await orphans.look()
    assert await store.read("s") == Record("s", "dead", 1)  # it may tell of itself still
    clock.jump(SECOND)
    await orphans.look()
    clock.jump(60 * SECOND)
    await directory.report(Report("lives", "http://x", 1, 1, 0, 1, frozenset()))
    await orphans.look()
    assert await store.read("s") == Record("s", "lives", 2)


async def test_a_constant_is_what_was_proposed_first(tmp_path: Path) -> None:
    async with stores(tmp_path) as every:
        for store in every:
            assert await store.constant("secret", "one") == "one"
            assert await store.constant("secret", "two") == "one"
    again = FileStore(tmp_path / "sessions.db")
    assert await again.constant("secret", "three") == "one"
    again.close()


async def test_a_file_has_one_writer(tmp_path: Path) -> None:
    async with stores(tmp_path):
        with pytest.raises(StoreError, match=r"sessions\.db.*locked"):
            FileStore(tmp_path / "sessions.db")


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="file"):
        FileStore(tmp_path / "file" / "sessions.db")


_names = st.sampled_from(["s", "t"])
_epochs = st.integers(0, 4)
_steps = st.lists(
    st.one_of(
        st.tuples(st.just("take"), _names, _epochs),
        st.tuples(st.just("write"), _names, _epochs),
        st.tuples(st.just("forget"), _names, _epochs),
    ),
    max_size=30,
)


@settings(max_examples=30, deadline=None)
@given(_steps)
def test_file_and_memory_agree_also_after_opening_again(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, int]]
) -> None:
    async def follow(store: Store) -> list[object]:
        outcomes: list[object] = []
        for number, (kind, name, epoch) in enumerate(steps):
            try:
                if kind == "take":
                    outcomes.append(await store.take(name, f"w{number}", after=epoch))
                elif kind == "write":
                    await store.write(name, epoch, f"facts {number}")
                else:
                    await store.forget(name, epoch)
            except Superseded as refusal:
                outcomes.append(str(refusal))
        return [*outcomes, await store.read("s"), await store.read("t")]

    path = tmp_path_factory.mktemp("store") / "sessions.db"
    file = FileStore(path)
    told = asyncio.run(follow(file))
    assert told == asyncio.run(follow(MemoryStore()))
    file.close()
    again = FileStore(path)
    assert [asyncio.run(again.read(name)) for name in "st"] == told[-2:]
    again.close()


async def test_what_was_acknowledged_outlives_the_death_of_the_writer(tmp_path: Path) -> None:
    """Killed at random instants, ten times over, on the same file."""
    path = tmp_path / "sessions.db"
    chance = random.Random(4)
    epochs: dict[str, int] = {}
    for round_ in range(10):
        log = tmp_path / f"log-{round_}"
        with log.open("wb") as out:
            writer = subprocess.Popen(  # noqa: ASYNC220 - it takes a millisecond
                [sys.executable, "-c", _WRITER, str(path), str(round_)], stdout=out
            )
            await _until(lambda log=log: log.read_bytes().count(b"wrote") >= 4, writer)  # type: ignore[misc]
            await asyncio.sleep(chance.uniform(0, 0.08))
            writer.send_signal(signal.SIGKILL)
            writer.wait()
        acknowledged: dict[str, int] = {}
        for line in log.read_text().splitlines(keepends=True):
            if not line.endswith("\n"):
                break  # the writer died while it told
            kind, name, told = line.split()
            if kind == "took":
                assert int(told) == epochs.get(name, 0) + 1
                epochs[name] = int(told)
            else:
                acknowledged[name] = int(told.split("/")[0])
        store = FileStore(path)
        assert len(acknowledged) == 4
        for name, number in acknowledged.items():
            record = await store.read(name)
            assert record is not None
            assert record.epoch == epochs[name]
            # The next write may have been done already, and not have been told any more.
            assert int(record.facts.split("/")[0]) - number in (0, 1)
        store.close()


async def _until(condition: Callable[[], bool], writer: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert writer.poll() is None, "the writer ended by itself"
        assert time.monotonic() < end
        await asyncio.sleep(0.005)
