"""The component's package: whole, of our version, made of its present sources, documented."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import textwrap
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "client_web" / "embed"
MODULE = (PACKAGE / "vivant-avatar.js").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "embed.md").read_text(encoding="utf-8")
VOCABULARY = (ROOT / "client_web" / "avatar" / "vocabulary.js").read_text(encoding="utf-8")
ELEMENT = (ROOT / "client_web" / "avatar" / "element.js").read_text(encoding="utf-8")
TYPES = (PACKAGE / "vivant-avatar.d.ts").read_text(encoding="utf-8")


def described() -> dict[str, object]:
    package: dict[str, object] = json.loads((PACKAGE / "package.json").read_text())
    return package


def rows(section: str) -> dict[str, str]:
    """Returns a table of the page: the second column by each name in the first."""
    text = PAGE.split(f"## {section}\n")[1].split("\n## ")[0]
    table = re.findall(r"^\| (`[^|]+) \| ([^|]*) \|$", text, re.MULTILINE)
    return {name: row for names, row in table for name in re.findall(r"`([^`]+)`", names)}


def events() -> dict[str, str]:
    """Returns the element's event by each message."""
    return dict(re.findall(r'^ *"?([a-z._]+)"?: "(vivant-[a-z-]+)",$', VOCABULARY, re.MULTILINE))


def test_it_has_the_version_of_the_whole() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert described()["version"] == project["version"]
    assert described()["license"] == project["license"]


def test_it_depends_on_nothing() -> None:
    assert not {key for key in described() if key.lower().endswith("dependencies")}
    assert not re.search(r'(^|[;}])import[{ "*(]|[^.]import\(', MODULE)
    addresses = set(re.findall(r"https?://[^\"'`\s]+", MODULE))
    assert addresses <= {"http://localhost${s}"}, addresses


def test_it_was_made_of_its_present_sources() -> None:
    (names,) = re.findall(r"^// Sources: (.*)$", MODULE, re.MULTILINE)
    (written,) = re.findall(r"^// sha256 of them: (\w+)$", MODULE, re.MULTILINE)
    digest = hashlib.sha256()
    for name in names.split():
        digest.update((ROOT / name).read_bytes())
    assert digest.hexdigest() == written, "the component is old: npm ci && npm run embed"
    folder = {path.relative_to(ROOT).as_posix() for path in (ROOT / "client_web/avatar").iterdir()}
    assert folder <= set(names.split())


def test_a_package_has_every_file_that_it_promises(tmp_path: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    done = subprocess.run(
        [npm, "pack", "--json", "--pack-destination", str(tmp_path)],
        cwd=PACKAGE,
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": str(Path(npm).parent) + ":/usr/bin:/bin", "HOME": str(tmp_path)},
    )
    (packed,) = json.loads(done.stdout)
    assert {file["path"] for file in packed["files"]} == {
        "package.json", "vivant-avatar.js", "vivant-avatar.d.ts", "README.md", "LICENSE",
    }  # fmt: skip
    assert packed["size"] < 40_000
    assert (tmp_path / packed["filename"]).is_file()


def test_the_page_lists_every_event_with_its_message() -> None:
    listed = rows("Events")
    own = {"vivant-phase", "vivant-message"}
    assert set(listed) == set(events().values()) | own
    for message, event in events().items():
        assert f"`{message}`" in listed[event]
    typed = re.findall(r'^  "(vivant-[a-z-]+)": CustomEvent', TYPES, re.MULTILINE)
    assert set(typed) == set(listed)


def test_every_message_has_its_place_in_the_protocol() -> None:
    protocol = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    told = protocol.split("## Server to client")[1].split("\n## ")[0]
    for message in events():
        assert f"`{message}`" in told


def test_the_page_lists_every_attribute_and_method() -> None:
    block = ELEMENT.split("observedAttributes = [")[1].split("];")[0]
    attributes = set(re.findall(r'"([a-z-]+)"', block)) | {"autoplay"}
    assert set(rows("Attributes")) >= attributes
    methods = set(re.findall(r"^  (?:async )?([a-z]\w*)\([^)]*\) \{$", ELEMENT, re.MULTILINE))
    methods -= {"constructor"} | {name for name in methods if name.endswith("Callback")}
    assert {"start", "speak", "close"} <= methods
    documented = {name.split("(")[0] for name in rows("Methods")}
    assert documented >= methods
    for name in methods:
        assert re.search(rf"^  {name}\(", TYPES, re.MULTILINE)


def test_the_page_lists_every_property_and_part_of_its_look() -> None:
    styles = (ROOT / "client_web" / "avatar" / "styles.js").read_text(encoding="utf-8")
    surface = (ROOT / "client_web" / "avatar" / "surface.js").read_text(encoding="utf-8")
    look = PAGE.split("## Look\n")[1].split("\n## ")[0]
    for name in set(re.findall(r"--vivant-[a-z-]+", styles)):
        assert f"`{name}`" in look
    for parts in re.findall(r'^    name\(this\.#\w+, "([^"]+)"\)', surface, re.MULTILINE):
        for part in parts.split():
            assert f"`{part}`" in look


def test_the_example_on_the_page_is_the_one_that_runs() -> None:
    example = (ROOT / "examples" / "chat.html").read_text(encoding="utf-8")
    shown = re.findall(r"```html\n(.*?)```", PAGE, re.DOTALL)[0]
    assert textwrap.dedent(shown).strip() == example.strip()
