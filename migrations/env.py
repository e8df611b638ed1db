"""How migrations run: on one connection, in one transaction that holds the write lock from its first statement."""

from alembic import context
from flask import current_app

from movierec import tables

database = current_app.extensions["migrate"].db


def ours(_object, name, kind, _reflected, _other):
    """The search index is no table of the metadata; autogenerate must leave it alone."""
    return not (kind == "table" and name.startswith("search_"))


def rendered(kind, thing, _autogen):
    """Migrations are written in SQLAlchemy's own types: they must not import living code."""
    return "sa.DateTime()" if kind == "type" and isinstance(thing, tables.Moment) else False


with database.engine.connect().execution_options(immediate=True) as connection:
    # A batch migration drops and remakes tables: with foreign keys on, that would delete the rows that point there.
    # The switch is a no-op inside a transaction, so it is turned before; the check at the end makes up for it.
    # Detached, this connection is closed afterwards and nobody else gets it with the switch off.
    connection.detach()
    connection.connection.dbapi_connection.execute("PRAGMA foreign_keys=OFF")
    with connection.begin():
        context.configure(
            connection=connection,
            target_metadata=database.metadata,
            include_object=ours,
            render_item=rendered,
            render_as_batch=True,
            # SQLite can roll DDL back; alembic assumes its driver can't. Ours begins by itself (extensions.py).
            transactional_ddl=True,
        )
        context.run_migrations()
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        if broken:
            raise RuntimeError(f"this migration leaves rows that point nowhere, so it is undone: {broken[:5]}")
