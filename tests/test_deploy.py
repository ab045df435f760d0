"""The files under deploy/ say what is true: paths, ports, settings, commands, metrics, times."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import fields
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from server.cli import parser
from server.config import PREFIX, Settings
from tests.live_fakes import house
from tests.test_server_app import ROOT

DEPLOY = ROOT / "deploy"
DOCKERFILES = (DEPLOY / "docker" / "Dockerfile", DEPLOY / "docker" / "Dockerfile.cuda")
UNIT = DEPLOY / "systemd" / "vivant.service"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
BESIDE_SETTINGS = {"VIVANT_CACHE", "VIVANT_CONFIG"}
LONG = "x" * 32  # stands for a key


class Instruction(NamedTuple):
    """One of a Dockerfile, its continued lines joined."""

    name: str
    words: str


def instructions(path: Path) -> list[Instruction]:
    lines = (line for line in path.read_text().splitlines() if not line.startswith("#"))
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    return [Instruction(*line.split(None, 1)) for line in joined.splitlines() if line.strip()]


def of(path: Path, name: str) -> list[str]:
    return [item.words for item in instructions(path) if item.name == name]


def docker_environment(path: Path) -> dict[str, str]:
    pairs = (pair for words in of(path, "ENV") for pair in shlex.split(words))
    return dict(pair.split("=", 1) for pair in pairs)


def load(environment: Mapping[str, str], *words: str) -> Settings:
    """Returns the settings that a command and an environment make; all names must be known."""
    known = {PREFIX + item.name.upper() for item in fields(Settings)} | BESIDE_SETTINGS
    assert {name for name in environment if name.startswith(PREFIX)} <= known
    options = parser().parse_args(words or ["serve"])
    return Settings.load(options, environment)


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_an_image_has_what_it_copies_and_all_that_is_packed(path: Path) -> None:
    copied = [words.split()[:-1] for words in of(path, "COPY") if not words.startswith("--from")]
    sources = [source for words in copied for source in words]
    assert all((ROOT / source).exists() for source in sources)
    allowed = [
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    ]
    assert sorted(sources) == sorted(allowed)
    packages = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    licences = PROJECT["project"]["license-files"]
    assert set(sources) >= {*packages, *licences, PROJECT["project"]["readme"], "pyproject.toml"}


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_an_image_starts_a_server_with_settings_that_there_are(path: Path) -> None:
    (program,) = (json.loads(words) for words in of(path, "ENTRYPOINT"))
    (arguments,) = (json.loads(words) for words in of(path, "CMD"))
    assert program == list(PROJECT["project"]["scripts"])
    environment = docker_environment(path)
    settings = load(environment, *arguments)
    assert of(path, "EXPOSE") == [f"{settings.port}/tcp"]
    assert settings.host == "0.0.0.0"
    state = of(path, "VOLUME")[0]
    places = ("VIVANT_CACHE", "VIVANT_KEYS_FILE", "NUMBA_CACHE_DIR")
    assert all(environment[name].startswith(f"{state}/") for name in places)
    assert "/healthz" in of(path, "HEALTHCHECK")[0]
    assert of(path, "USER") == ["10001"]
    assert "--uid 10001" in " ".join(of(path, "RUN"))


def test_the_cuda_image_differs_by_the_torch_we_pin_and_by_the_card() -> None:
    plain, cuda = (instructions(path) for path in DOCKERFILES)
    torch = next(item for item in PROJECT["project"]["dependencies"] if item.startswith("torch"))
    assert [item.words for item in cuda if item not in plain and item.name == "RUN"] == [
        f"/opt/vivant/bin/pip install {torch}"
    ]
    assert [item for item in plain if item not in cuda and item.name != "ENV"] == []
    capabilities = docker_environment(DOCKERFILES[1])["NVIDIA_DRIVER_CAPABILITIES"]
    assert "video" in capabilities.split(",")


def test_ignored_files_are_no_secrets() -> None:
    patterns = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in patterns  # nothing goes into an image that is not named
    assert not any(fnmatch(".env", line[1:]) for line in patterns if line[:1] == "!")


def seconds(text: str) -> float:
    number, unit = re.fullmatch(r"(\d+)(s|m|)", text).groups()  # type: ignore[union-attr]
    return int(number) * (60 if unit == "m" else 1)


def filled_in(text: str, values: Mapping[str, str]) -> str:
    """Returns a compose file as compose reads it, with the variables of its `.env`."""
    return re.sub(r"\$\{(\w+)(?::\?[^}]*)?\}", lambda match: values[match[1]], text)


def test_compose_has_settings_that_there_are_and_shares_its_secret_with_coturn() -> None:
    folder = DEPLOY / "docker"
    example = dict(
        line.split("=", 1)
        for line in (folder / ".env.example").read_text().splitlines()
        if line and not line.startswith("#")
    )
    values = {name: value or LONG for name, value in example.items()}
    compose = yaml.safe_load(filled_in((folder / "compose.yaml").read_text(), values))
    vivant, coturn = compose["services"]["vivant"], compose["services"]["coturn"]
    settings = load(docker_environment(DOCKERFILES[0]) | vivant["environment"])
    assert seconds(vivant["stop_grace_period"]) > settings.drain_timeout + 5
    build = folder / vivant["build"]["context"]
    assert (build / vivant["build"]["dockerfile"]).samefile(DOCKERFILES[0])
    (config,) = coturn["configs"]
    turn = dict(
        line.partition("=")[::2]
        for line in compose["configs"][config["source"]]["content"].splitlines()
    )
    assert "use-auth-secret" in turn
    assert turn["static-auth-secret"] == settings.turn_secret == LONG
    assert settings.ice_servers == (
        f"stun:{turn['external-ip']}:{turn['listening-port']}",
        f"turn:{turn['external-ip']}:{turn['listening-port']}",
    )
    assert int(turn["min-port"]) + 500 < int(turn["max-port"])
    state = of(DOCKERFILES[0], "VOLUME")[0]
    assert f"state:{state}" in vivant["volumes"]
    assert str(settings.audit_log).startswith(f"{state}/")


def unit() -> dict[str, list[str]]:
    """Returns a unit's directives; the same name may come several times."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            name, value = line.split("=", 1)
            found.setdefault(name, []).append(value)
    return found


def test_the_unit_starts_a_server_by_its_file_and_waits_for_it_to_drain() -> None:
    found = unit()
    command = shlex.split(found["ExecStart"][0])
    words = [str(UNIT.with_name("vivant.toml")) if "vivant.toml" in it else it for it in command]
    environment = dict(item.split("=", 1) for item in found["Environment"])
    settings = load(environment, *words[1:])
    assert float(found["TimeoutStopSec"][0]) > settings.drain_timeout + 5
    folders = {"/var/cache/vivant", "/var/lib/vivant", "/var/log/vivant"}
    written = (settings.keys_file, settings.tls_dir, settings.recordings_dir, settings.audit_log)
    for place in (*written, environment["VIVANT_CACHE"], environment["NUMBA_CACHE_DIR"]):
        assert any(str(place).startswith(folder) for folder in folders), place
    names = set(re.findall(r"^(\w+)=", (UNIT.parent / "vivant.env.example").read_text(), re.M))
    assert load(dict.fromkeys(names, LONG)).api_key == LONG


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_finds_no_fault_with_the_unit(tmp_path: Path) -> None:
    program = unit()["ExecStart"][0].split()[0]
    there = tmp_path / UNIT.name
    there.write_text(UNIT.read_text().replace(program, "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(there)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def manifests() -> dict[str, Any]:
    documents = yaml.safe_load_all((DEPLOY / "kubernetes" / "vivant.yaml").read_text())
    return {document["kind"]: document for document in documents}


async def test_kubernetes_asks_what_is_answered_and_waits_for_the_drain(tmp_path: Path) -> None:
    found = manifests()
    pod = found["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    keys = {item["name"]: LONG for item in container["env"]}
    settings = load(found["ConfigMap"]["data"] | keys, *container["args"])
    (port,) = container["ports"]
    assert port["containerPort"] == port["hostPort"] == settings.port
    assert found["Service"]["spec"]["ports"][0]["targetPort"] == port["name"]
    stop = float(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > stop + settings.drain_timeout + 5
    assert pod["securityContext"]["runAsUser"] == int(of(DOCKERFILES[0], "USER")[0])
    assert of(DOCKERFILES[0], "VOLUME")[0] in {m["mountPath"] for m in container["volumeMounts"]}
    annotations = found["Deployment"]["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == str(settings.port)
    probes = [container[f"{name}Probe"]["httpGet"] for name in ("startup", "readiness", "liveness")]
    paths = {probe["path"] for probe in probes}
    assert paths == {"/readyz", "/healthz"}
    async with house(tmp_path) as client:
        for path in (*paths, annotations["prometheus.io/path"]):
            assert (await client.get(path)).status_code in (200, 503)  # it is not warm here


def test_every_label_finds_its_pods() -> None:
    found = manifests()
    labels = found["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert found["Service"]["spec"]["selector"] == labels
    assert found["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels


def dashboard_queries() -> Iterator[str]:
    dashboard = json.loads((DEPLOY / "monitoring" / "grafana-dashboard.json").read_text())
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"]["query"]


def alert_queries() -> Iterator[str]:
    alerts = yaml.safe_load((DEPLOY / "monitoring" / "alerts.yaml").read_text())
    for group in alerts["groups"]:
        yield from (rule["expr"] for rule in group["rules"])


async def test_every_query_names_metrics_and_labels_that_there_are(tmp_path: Path) -> None:
    async with house(tmp_path) as client:
        families = list(text_string_to_metric_families((await client.get("/metrics")).text))
    scraped = {"instance", "job"}  # Prometheus adds them
    known = {"up": scraped}
    for family in families:
        for sample in family.samples:
            known.setdefault(sample.name, set(scraped)).update(sample.labels)
        if family.type == "histogram":  # without pictures there are no samples yet
            known.setdefault(f"{family.name}_bucket", {"le", "stage", "source", *scraped})
    queries = [*dashboard_queries(), *alert_queries()]
    assert len(queries) > 25
    for query in queries:
        names = set(re.findall(r"\b(?:vivant|process)_\w+|\bup\b", query))
        assert names, query
        assert names <= set(known), query
        everything = set().union(*(known[name] for name in names))
        labels = set(re.findall(r"(\w+)(?:=~|!=|!~|=)\"", query))
        for group in re.findall(r"(?:by|ignoring) ?\(([^)]*)\)", query):
            labels |= {label.strip() for label in group.split(",")}
        assert labels <= everything, query
    told = {name for name in known if name != "up" and not name.endswith(("_created", "_sum"))}
    ours = {name for name in told if name.startswith("vivant_") and not name.endswith("_count")}
    assert ours <= set(re.findall(r"vivant_\w+", " ".join(queries)))  # none is left out


def test_prometheus_asks_with_a_key_that_there_can_be() -> None:
    text = (DEPLOY / "monitoring" / "prometheus.yaml").read_text()
    (command,) = re.findall(r"# +vivant (keys add .*) >", text)
    options = parser().parse_args(shlex.split(command))
    assert isinstance(options, argparse.Namespace)
    (job,) = yaml.safe_load(text)["scrape_configs"]
    assert job["metrics_path"] == "/metrics"
    assert job["static_configs"][0]["targets"] == [f"127.0.0.1:{Settings().port}"]
