"""The API's reference as one plain page, made from its own OpenAPI description.

It loads nothing from elsewhere, so it also works on a machine without the internet.
"""

from __future__ import annotations

from html import escape
from typing import Any

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
    "color-scheme:light dark}td{padding:.3rem 1rem .3rem 0;vertical-align:top}"
)


def reference_page(description: dict[str, Any]) -> str:
    """Returns the HTML page for an OpenAPI description."""
    title = escape(f"{description['info']['title']} {description['info']['version']}")
    rows = "".join(
        _row(method.upper(), path, operation)
        for path, operations in description["paths"].items()
        for method, operation in operations.items()
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}: API</title>'
        f'<link rel="icon" href="favicon.svg"><style>{_STYLE}</style></head><body>'
        f"<h1>{title}</h1><p>{escape(description['info']['description'])} In full, for programs: "
        '<a href="openapi.json">openapi.json</a>.</p>'
        f"<table>{rows}</table><p>Messages both ways, and PCM in: WebSocket "
        "<code>/v1/sessions/{session_id}/events</code>.</p></body></html>"
    )


def _row(method: str, path: str, operation: dict[str, Any]) -> str:
    bodies = operation.get("requestBody", {}).get("content", {})
    cells = (
        f"<code>{escape(method)} {escape(path)}</code>",
        escape(operation.get("description", "")),
        escape(", ".join(bodies)),
        escape(", ".join(operation["responses"])),
    )
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
