"""The timeline and the figures from outside: REST alone, then a real viewer of the fake model."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from server.picture import Outcome, Reason, Source
from server.stage_report import PictureTimes, StageTimeline
from server.stage_totals import DROPPED, LATE, STAGES
from tests.live_fakes import house
from tests.test_server_live import LiveServer, live, on_loopback  # noqa: F401 - fixtures

Figures = Mapping[str, float]


def read(text: str) -> Figures:
    """Returns samples by name and labels, as Prometheus reads them."""
    return {
        sample.name
        + "".join(f" {key}={value}" for key, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def figures(client: httpx.AsyncClient) -> Figures:
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return read(answer.text)


async def test_sessions_are_counted_by_each_server_for_itself(tmp_path: Path) -> None:
    async with house(tmp_path / "a") as client, house(tmp_path / "b") as other:
        opened = [await client.post("/v1/sessions") for _ in range(3)]
        assert [answer.status_code for answer in opened] == [201, 202, 503]
        first, second = opened[0].json(), opened[1].json()
        resumed = await client.post(
            f"/v1/sessions/{first['session_id']}/resume", json={"token": first["token"]}
        )
        assert resumed.status_code == 200
        found = await figures(client)
        assert found["vivant_sessions_opened_total"] == 1
        assert found["vivant_sessions_refused_total"] == 1
        assert found["vivant_sessions_resumed_total"] == 1
        assert found["vivant_sessions_open"] == 1
        assert found["vivant_queue_length"] == 1
        assert found["vivant_capacity_sessions"] == 1
        text = (await client.get("/metrics")).text
        assert first["session_id"] not in text
        assert second["session_id"] not in text
        assert (await figures(other))["vivant_sessions_opened_total"] == 0


async def test_every_figure_has_a_type_and_a_help(tmp_path: Path) -> None:
    async with house(tmp_path) as client:
        families = list(text_string_to_metric_families((await client.get("/metrics")).text))
    assert {family.type for family in families} == {"histogram", "counter", "gauge"}
    assert all(family.documentation.endswith(".") for family in families)
    assert all(family.samples for family in families)
    labels = {key for family in families for item in family.samples for key in item.labels}
    assert labels == {"stage", "source", "reason", "le"}
    page = (Path(__file__).parent.parent / "docs" / "protocol.md").read_text()
    for family in families:
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert f"`{name}" in page


def test_the_page_names_everything_that_is_told() -> None:
    page = (Path(__file__).parent.parent / "docs" / "protocol.md").read_text()
    words = set(re.findall(r"`([a-z_]+)`", page))
    for model in (StageTimeline, PictureTimes):
        assert words | set(re.findall(r'"([a-z_]+)"', page)) >= set(model.model_fields)
    for choices in (Outcome, Reason, Source):
        assert words >= set(get_args(choices))
    assert words >= set(STAGES)
    assert (set(LATE) | set(DROPPED)) < set(get_args(Reason))


async def test_an_impossible_timeline_is_refused_with_the_value(tmp_path: Path) -> None:
    async with house(tmp_path) as client:
        session_id = (await client.post("/v1/sessions")).json()["session_id"]
        waiting = (await client.post("/v1/sessions")).json()["session_id"]
        path = f"/v1/sessions/{session_id}/timeline"
        empty = (await client.get(path)).json()
        assert (empty["session_id"], empty["pictures"]) == (session_id, [])
        for query, value in (
            ("limit=0", "'0'"),
            ("limit=251", "'251'"),
            ("limit=many", "'many'"),
            ("since=-1", "'-1'"),
            ("format=pdf", "'pdf'"),
        ):
            answer = await client.get(f"{path}?{query}")
            assert answer.status_code == 400
            assert value in answer.json()["error"]["message"]
        answer = await client.get("/v1/sessions/nobody/timeline")
        assert answer.status_code == 404
        assert "'nobody'" in answer.json()["error"]["message"]
        assert (await client.get(f"/v1/sessions/{waiting}/timeline")).status_code == 409
        await client.delete(f"/v1/sessions/{session_id}")
        await asyncio.sleep(0)
        assert (await client.get(path)).status_code == 404
        schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]
        assert set(schemas["StageTimeline"]["required"]) == set(empty)


@pytest.mark.single_layout("series of a cluster have their worker's label: test_cluster_layout")
async def test_a_viewer_s_pictures_are_told_from_sound_to_last_packet(
    live: LiveServer,  # noqa: F811 - the fixture
) -> None:
    session_id = await live.session()
    viewer = await live.viewer(session_id)
    viewer.send(type="speak", text="x" * 100)
    await viewer.until(lambda got: got.of_type("agent.speak_started"))
    await viewer.until(lambda got: len(got.pictures) > 25)
    viewer.send(type="interrupt")
    await viewer.until(lambda got: got.of_type("agent.speak_ended"))
    told = (await live.client.get(f"/v1/sessions/{session_id}/timeline")).json()
    after = await figures(live.client)
    zero = datetime.fromisoformat(told["zero"])
    since = datetime.now(UTC) - (zero + timedelta(milliseconds=told["now"]))
    assert abs(since) < timedelta(seconds=5)

    sent = [item for item in told["pictures"] if item["outcome"] == "sent"]
    assert len(sent) > 10
    for item in sent:
        times = way(item)
        assert times == sorted(times)
        assert times[-1] <= told["now"]
        leaves = item["composed"] + item["latency_ms"]  # due and encoded, before its first packet
        assert max(item["due"], item["encode"]["done"]) - 0.002 <= leaves
        assert leaves <= item["sent"]["first"] + 0.002
    assert {item["source"] for item in sent} == {"queue", "silence"}

    spoken = [item for item in told["pictures"] if item["source"] == "queue"]
    dropped = [item for item in spoken if item["reason"] == "interrupted"]
    assert dropped
    assert {item["outcome"] for item in dropped} == {"dropped"}
    assert {item["utterance"] for item in dropped} == {spoken[0]["utterance"]}

    assert after["vivant_interruptions_total"] == 1
    assert after["vivant_pictures_dropped_total reason=interrupted"] >= len(dropped)
    assert after["vivant_pictures_sent_total"] >= len(sent)
    assert after["vivant_pictures_sent_total"] >= len(viewer.received.pictures)
    for stage in ("motion", "motion_wait", "render", "render_wait", "encode", "encode_wait"):
        assert after[f"vivant_stage_seconds_count stage={stage}"] >= len(sent) - 1
    assert after["vivant_latency_seconds_count source=queue"] >= len(
        [item for item in sent if item["source"] == "queue"]
    )


def way(item: dict[str, Any]) -> list[float]:
    """Returns the instants of a picture that was sent, in the order of its stages."""
    works = [item[name] for name in ("motion", "render", "encode")]
    motion, render, encode = ([work["queued"], work["started"], work["done"]] for work in works)
    last = item["sent"]["last"]
    arrived = [] if item["arrived"] is None else [item["arrived"]]
    return [
        *arrived,
        item["composed"],
        *motion,
        *render,
        item["released"],
        *encode,
        item["sent"]["first"],
        *([] if last is None else [last]),
    ]


async def test_a_part_of_the_timeline_and_a_trace_of_it(
    live: LiveServer,  # noqa: F811 - the fixture
) -> None:
    session_id = await live.session()
    viewer = await live.viewer(session_id)
    await viewer.until(lambda got: len(got.pictures) > 20)
    path = f"/v1/sessions/{session_id}/timeline"
    everything = (await live.client.get(path)).json()["pictures"]
    since = everything[10]["media_time"]
    part = (await live.client.get(f"{path}?since={since}&limit=5")).json()["pictures"]
    assert len(part) == 5
    assert part[0]["media_time"] >= since
    trace = (await live.client.get(f"{path}?format=trace")).json()
    events = trace["traceEvents"]
    names = {event["args"]["name"] for event in events if event["ph"] == "M"}
    assert names == {f"session {session_id}", "motion", "render", "encode"}
    assert all(event["dur"] >= 0 and event["ts"] >= 0 for event in events if event["ph"] == "X")
    for row in (1, 2, 3):  # a thread does one thing at a time
        work = sorted(
            (event["ts"], event["dur"])
            for event in events
            if event["ph"] == "X" and event["tid"] == row
        )
        assert len(work) > 5
        assert all(a[0] + a[1] <= b[0] + 0.001 for a, b in itertools.pairwise(work))
    begun = [(item["id"], item["cat"]) for item in events if item["ph"] == "b"]
    ended = [(item["id"], item["cat"]) for item in events if item["ph"] == "e"]
    assert begun == ended
    assert len(set(begun)) == len(begun)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", trace["otherData"]["zero"])
