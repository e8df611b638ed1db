"""Keeps the key out of every log: a filter on what handles or makes records while a call is under way."""

from __future__ import annotations

import logging
import traceback

HIDDEN = "[key]"
# A logger's filters see only what is logged through that very logger; handlers' filters see what their handler writes.
LOGGERS = ("urllib3", "urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry", "requests", __package__)
OWNERS = ("", "movierec", "gunicorn.error", "rq.worker")  # whose handlers write this process's logs


class Redacting(logging.Filter):
    """Takes the known keys out of a record's message, arguments and traceback."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: set[str] = set()

    def clean(self, text: str) -> str:
        """The text without any key."""
        for key in tuple(self.keys):  # another thread may add one
            text = text.replace(key, HIDDEN)
        return text

    def filter(self, record: logging.LogRecord) -> bool:
        """Always lets the record pass, cleaned."""
        try:
            message = record.getMessage()
        except Exception:  # arguments that don't fit: whoever writes the record will say so
            return True
        if self.clean(message) != message:
            record.msg, record.args = self.clean(message), None
        if record.exc_info and record.exc_info[1] is not None:
            said = record.exc_text or "".join(traceback.format_exception(record.exc_info[1])).rstrip("\n")
            if self.clean(said) != said:
                record.exc_info, record.exc_text = None, self.clean(said)
        return True


redacting = Redacting()


def guard(key: str) -> None:
    """From now on this key appears in no log of this process. Cheap to repeat; handlers may have been added since."""
    if key:
        redacting.keys.add(key)
    for name in LOGGERS:
        logging.getLogger(name).addFilter(redacting)
    for name in OWNERS:
        for handler in logging.getLogger(name).handlers:
            handler.addFilter(redacting)
