"""The log of the service on standard error, as lines of text or of JSON, each with its request."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from api.http.request_ids import current_request_id
from api.setting_groups.server import LogSettings

_NO_REQUEST = "-"
_TEXT = "%(asctime)s %(levelname)s %(request_id)s %(message)s"
_TALKATIVE = ("uvicorn", "httpx", "httpx2", "openai", "anthropic")


def configure_logging(settings: LogSettings) -> None:
    """Log by these settings. For entry points alone: everybody else just logs."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if settings.format == "json" else TextFormatter())
    logging.basicConfig(level=settings.level.upper(), handlers=[handler])
    for library in _TALKATIVE:
        logging.getLogger(library).setLevel(logging.WARNING)  # one line a request is ours
    # It warns of every new attempt to reach a collector; that it gave up is an error.
    logging.getLogger("opentelemetry").setLevel(logging.ERROR)


class TextFormatter(logging.Formatter):
    """Time, level, request (`-` outside one) and message."""

    def __init__(self) -> None:
        super().__init__(_TEXT)

    def format(self, record: logging.LogRecord) -> str:
        """The line; an exception's trace stands below it."""
        record.request_id = current_request_id() or _NO_REQUEST
        return super().format(record)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (ISO 8601, UTC), level, logger, message and request_id.

    `request_id` is null outside a request; `exception` is there only with an exception's trace.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line, whatever the message holds: ASCII, without a line break."""
        at = datetime.fromtimestamp(record.created, UTC)
        told = {
            "time": at.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": current_request_id() or None,
        }
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return json.dumps(told)
