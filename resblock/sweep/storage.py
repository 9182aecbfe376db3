"""The database of a search: Optuna's, made fit for several workers at once on SQLite and PostgreSQL."""

from __future__ import annotations

import time
from typing import Any, Final

from optuna.exceptions import OptunaError
from optuna.storages import RDBStorage
from sqlalchemy import event
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from resblock.errors import InputError

#: Heartbeats that a worker may miss before its trial is given to another.
MISSED: Final = 3
#: Attempts at making the tables of a new database, which another worker may be making.
_ATTEMPTS: Final = 5


def connect(url: str, heartbeat: int) -> RDBStorage:
    """Open or make a database.

    Parameters
    ----------
    url : str
        ``sqlite:///FILE`` or ``postgresql://USER@HOST/DATABASE``.
    heartbeat : int
        Seconds between signs of life of a trial's worker.

    Raises
    ------
    InputError
        If it cannot be used; the message has no password.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise InputError(
            f"storage {url!r} is no URL; write sqlite:///FILE or postgresql://USER@HOST/DATABASE"
        ) from None
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    on_sqlite = parsed.drivername.startswith("sqlite")
    # SQLite waits so many seconds for other workers.
    options = {"connect_args": {"timeout": 60}} if on_sqlite else None
    for attempt in range(_ATTEMPTS):
        try:
            storage = RDBStorage(
                parsed.render_as_string(hide_password=False),
                engine_kwargs=options,
                heartbeat_interval=heartbeat,
                grace_period=MISSED * heartbeat,
            )
        except (SQLAlchemyError, OptunaError) as error:
            if attempt == _ATTEMPTS - 1:
                reason = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
                raise InputError(f"storage {parsed.render_as_string()}: cannot be used ({reason})") from None
            time.sleep(0.5)
        else:
            break
    if on_sqlite:
        _one_transaction_at_a_time(storage.engine)
    return storage


def _one_transaction_at_a_time(engine: Engine) -> None:
    """Keep two workers from taking one trial: Optuna locks its row first, and SQLite has no locks on rows."""

    @event.listens_for(engine, "connect")
    def connected(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # Python begins no transactions of its own

    @event.listens_for(engine, "begin")
    def begun(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    engine.dispose()  # connections made before
