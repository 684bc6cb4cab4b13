"""Put in front of PYTHONPATH, this sets the clock of a process, and of those it starts, some years ahead."""

import contextlib
import datetime
import time

with contextlib.suppress(ImportError):
    # Compiled against the types that are replaced below: it must see the true ones, or the process dies.
    import pyarrow.compute
    import pyarrow.dataset
    import pyarrow.parquet  # noqa: F401

AHEAD = 1000 * 86400.0

_time, _gmtime, _localtime = time.time, time.gmtime, time.localtime
time.time = lambda: _time() + AHEAD
time.gmtime = lambda seconds=None: _gmtime(time.time() if seconds is None else seconds)
time.localtime = lambda seconds=None: _localtime(time.time() if seconds is None else seconds)


class _Date(datetime.date):
    @classmethod
    def today(cls):
        return cls.fromtimestamp(time.time())


class _Datetime(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)

    @classmethod
    def today(cls):
        return cls.now()

    @classmethod
    def utcnow(cls):
        return cls.now(datetime.UTC).replace(tzinfo=None)


datetime.date, datetime.datetime = _Date, _Datetime
