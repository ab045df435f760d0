"""Log lines, as text for people or as JSON for programs: with session and caller, without secrets.

Standard logging all through: a module has its logger, and what a line knows besides its sentence
goes into `extra`. Our own loggers obey the setting; libraries are heard from warnings on, since
below that they tell addresses, candidates and tokens.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Literal

from server.principal import LOCAL, acting, session_now
from server.secrecy import Redactor

LogFormat = Literal["text", "json"]
LEVELS: Final = ("debug", "info", "warning", "error")
_OURS: Final = ("server", "streaming_model", "vivant_client")
_LOG = logging.getLogger(__name__)
_STANDARD: Final = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}


def configure_logs(*, level: str, format: LogFormat, secrets: Iterable[str]) -> None:
    """Sends all log lines of the process to standard error, errors that nobody caught too."""
    handler = logging.StreamHandler()
    redactor = Redactor(secrets)
    handler.setFormatter(JsonLines(redactor) if format == "json" else TextLines(redactor))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in _OURS:
        logging.getLogger(name).setLevel(level.upper())
    # Who sends a damaged form is told; a line for each would let anybody fill the disk.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


class TextLines(logging.Formatter):
    """One line for people, and a traceback below it where there is one."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line."""
        known = _known(record)
        trace = known.pop("traceback", "")
        notes = " ".join(f"{name}={_short(value)}" for name, value in known.items())
        head = f"{_time(record)} {record.levelname} {record.name}: {record.getMessage()}"
        line = head + (f" [{notes}]" if notes else "") + (f"\n{trace}" if trace else "")
        return self._redactor.clear(line)


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line."""
        told = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_known(record),
        }
        return json.dumps(self._cleared(told), ensure_ascii=False, default=str)

    def _cleared(self, value: Any) -> Any:  # noqa: ANN401 - whatever JSON takes
        match value:
            case str():
                return self._redactor.clear(value)
            case dict():
                return {str(key): self._cleared(item) for key, item in value.items()}
            case list() | tuple():
                return [self._cleared(item) for item in value]
            case None | bool() | int() | float():
                return value
        return self._redactor.clear(str(value))


def _known(record: logging.LogRecord) -> dict[str, Any]:
    """Returns what a line knows besides its sentence."""
    known: dict[str, Any] = {}
    if (session := session_now()) is not None:
        known["session"] = session
    if (caller := acting().name) != LOCAL.name:
        known["who"] = caller
    known |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
    if record.exc_info:
        known["traceback"] = logging.Formatter().formatException(record.exc_info)
    return known


def _time(record: logging.LogRecord) -> str:
    instant = datetime.fromtimestamp(record.created, tz=UTC)
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _short(value: object) -> str:
    text = str(value)
    return text if text and " " not in text else json.dumps(text, ensure_ascii=False)


def _log_uncaught(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    _LOG.critical("the process ends by an error", exc_info=(kind, error, trace))


def _log_uncaught_in_thread(what: threading.ExceptHookArgs) -> None:
    error = what.exc_value or what.exc_type()
    name = what.thread.name if what.thread else "?"
    _LOG.critical(
        "thread %s ends by an error", name, exc_info=(what.exc_type, error, what.exc_traceback)
    )
