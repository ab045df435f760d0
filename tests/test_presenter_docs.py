"""docs/presenter.md: every mark it shows is understood, its script and its program run."""

from __future__ import annotations

import re
from pathlib import Path

import aioice.ice
import pytest

from server.config import Settings
from server.presenter.marks import NAMES
from server.presenter.script import parse_script
from tests.test_server_live import serving

PAGE = (Path(__file__).parent.parent / "docs" / "presenter.md").read_text(encoding="utf-8")
TABLE = PAGE.split("## Marks")[1].split("**Other")[0]
MARKS = [
    mark
    for row in re.findall(r"^\| (`.*?) \|", TABLE, re.M)
    for mark in re.findall(r"`(.+?)`", row)
]


@pytest.mark.parametrize("mark", MARKS)
def test_every_mark_of_the_reference_is_understood(mark: str) -> None:
    script = parse_script(f"Well {mark} then.")
    assert not script.notices
    assert len(script.sentences[0].marks) == 1
    assert script.sentences[0].text in ("Well then.", "Well very then.")


def test_the_reference_names_every_mark() -> None:
    assert len(MARKS) >= 14
    told = set(re.findall(r"[a-z_]+", TABLE))
    assert set(NAMES) <= told


def test_the_other_brackets_are_as_told() -> None:
    assert [notice.message for notice in parse_script("So [laughs] on.").notices]
    script = parse_script(r"As [sic] the [the king] walk[ed] [1] or [2, 3] \[nod\] on.")
    assert script.sentences[0].text == "As sic the the king walked or [nod] on."
    assert not script.notices


def test_the_first_script_is_read_without_a_warning() -> None:
    source = re.search(r"<<'END'\n(.*?)\n    END", PAGE, re.S)
    assert source is not None
    script = parse_script(re.sub(r"^    ", "", source[1], flags=re.M), "markdown")
    assert [sentence.text for sentence in script.sentences][:2] == [
        "Welcome",
        "Good evening, everyone!",
    ]
    assert len(script.sentences) == int(re.findall(r"1/(\d)", PAGE)[0])
    assert not script.notices


async def test_the_program_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda *_, **__: ["127.0.0.1"])
    (snippet,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    async with serving(Settings(size=256, max_sessions=2, cache_dir=tmp_path, port=0)) as live:
        program = snippet.replace("127.0.0.1:8080", live.address).replace("asyncio.run(main())", "")
        scope: dict[str, object] = {}
        exec(program, scope)  # the page's own
        main = scope["main"]
        assert callable(main)
        await main()
