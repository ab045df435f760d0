"""The figures of all workers as one page of Prometheus' text format, each with its worker's label.

Pure: the pages in, a page out. A family's HELP and TYPE come once, and all its series after them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Family:
    comments: list[str] = field(default_factory=list)
    samples: list[str] = field(default_factory=list)


def merge(pages: Mapping[str, str]) -> str:
    """Returns the pages of workers, by the workers' names, as one.

    >>> print(merge({"a": "# TYPE n gauge\\nn 1", "b": '# TYPE n gauge\\nn{x="y"} 2'}))
    # TYPE n gauge
    n{worker="a"} 1
    n{worker="b",x="y"} 2
    <BLANKLINE>
    """
    families: dict[str, _Family] = {}
    for worker, page in pages.items():
        label = f'worker="{_escaped(worker)}"'
        name = ""
        for line in page.splitlines():
            if line.startswith("# "):
                kind, name = line.split(" ", 3)[1:3]
                family = families.setdefault(name, _Family())
                if not any(each.startswith(f"# {kind} ") for each in family.comments):
                    family.comments.append(line)
            elif line:
                families.setdefault(name, _Family()).samples.append(_labelled(line, label))
    lines = [line for each in families.values() for line in (*each.comments, *each.samples)]
    return "".join(f"{line}\n" for line in lines)


def _labelled(sample: str, label: str) -> str:
    name, brace, rest = sample.partition("{")
    if brace and " " not in name:
        return f"{name}{{{label}{'' if rest.startswith('}') else ','}{rest}"
    name, _, rest = sample.partition(" ")
    return f"{name}{{{label}}} {rest}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
