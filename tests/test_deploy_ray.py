"""The cluster's file is one that Ray takes, and starts what there is."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import jsonschema
import yaml

ROOT = Path(__file__).resolve().parent.parent
CLUSTER = yaml.safe_load((ROOT / "deploy" / "ray" / "cluster.yaml").read_text())


def test_ray_takes_the_file() -> None:
    spec = find_spec("ray")  # found, and not imported
    assert spec is not None
    assert spec.origin is not None
    schema = Path(spec.origin).parent / "autoscaler" / "ray-schema.json"
    jsonschema.validate(CLUSTER, json.loads(schema.read_text()))


def test_its_workers_are_as_urgent_as_other_processes() -> None:
    for kind in ("head", "worker"):
        (start,) = (each for each in CLUSTER[f"{kind}_start_ray_commands"] if " start " in each)
        assert start.startswith("RAY_worker_niceness=0 ")


def test_the_head_takes_no_sessions() -> None:
    types = CLUSTER["available_node_types"]
    assert types[CLUSTER["head_node_type"]]["resources"]["CPU"] == 0
    assert types["sessions"]["resources"]["CPU"] % 2 == 0
