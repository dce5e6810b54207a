"""What is read or written in a database: a table as its catalog tells it, or a query, and the columns of either."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lakehouse.databases.control import Database, asked, identifier, literal, run, within
from lakehouse.errors import did_you_mean
from lakehouse.frames import HIDDEN_PREFIX

_TABLE = """
SELECT c.oid::bigint, format('%I.%I', n.nspname, c.relname), n.nspname
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass({name})
"""
_TABLES = """
SELECT CASE WHEN pg_table_is_visible(c.oid) THEN c.relname ELSE n.nspname || '.' || c.relname END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' LIMIT 200
"""
# a domain is the type it is made of; of an array also its elements' type
_TYPES = """
SELECT o.place, coalesce(b.typname, t.typname), coalesce(b.typcategory, t.typcategory), e.typname, e.typcategory
FROM unnest({oids}) WITH ORDINALITY AS o(oid, place) JOIN pg_type t ON t.oid = o.oid
LEFT JOIN pg_type b ON b.oid = nullif(t.typbasetype, 0)
LEFT JOIN pg_type e ON e.oid = nullif(coalesce(b.typelem, t.typelem), 0) AND coalesce(b.typcategory, t.typcategory) = 'A'
ORDER BY o.place
"""

RELATION = f"{HIDDEN_PREFIX}relation"
"""A whole row in SQL: a name that no column has, for SQL would mean the column."""


@dataclass(frozen=True)
class Table:
    """A table: its name quoted for SQL, and the schema it lies in."""

    oid: int
    quoted: str
    schema: str


@dataclass(frozen=True)
class Column:
    """A column of a table or a query: its type's name and category (PostgreSQL's letter), and those of its elements."""

    name: str
    type: str
    category: str
    element: str | None = None
    element_category: str | None = None
    precision: int | None = None
    scale: int | None = None


def find_table(database: Database, name: str) -> Table:
    """The table of a name as SQL writes it; raises the database's error kind where there is none, with what is near."""
    rows = asked(database, _TABLE.format(name=literal(name)))
    if rows:
        return Table(*rows[0])
    known = [row[0] for row in asked(database, _TABLES)]
    raise database.kind(
        f"{database.what}: {database.address} has no table {name} that {database.address.user} can see."
        f"{did_you_mean(name, known)}"
    )


def relation_of(database: Database, table: str | None, query: str | None) -> str:
    """What stands after FROM: a table's quoted name, or a query in brackets; each under the name RELATION."""
    if table is not None:
        return f"{find_table(database, table).quoted} AS {RELATION}"
    return f"(\n{str(query).strip().rstrip(';')}\n) AS {RELATION}"


def columns_of(database: Database, relation: str) -> list[Column]:
    """The columns of what stands after FROM; raises the database's error kind where two have one name."""
    described = (
        within(database, lambda connection: run(connection, f"SELECT * FROM {relation} LIMIT 0").description) or []
    )
    names = [item.name.lower() for item in described]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise database.kind(
            f"{database.what}: two columns are called {', '.join(twice)}; give each a name of its own (AS)"
        )
    oids = "ARRAY[" + ", ".join(str(item.type_code) for item in described) + "]::oid[]"
    types = asked(database, _TYPES.format(oids=oids))
    return [
        Column(item.name, kind, category, element, of_element, item.precision, item.scale)
        for item, (_, kind, category, element, of_element) in zip(described, types, strict=True)
    ]


def require_columns(database: Database, columns: Sequence[Column], names: Sequence[str]) -> list[Column]:
    """The columns of these names, in either case; raises the database's error kind for one that is not there."""
    known = {column.name.lower(): column for column in columns}
    missing = [name for name in names if name.lower() not in known]
    if missing:
        hint = did_you_mean(missing[0], [column.name for column in columns])
        raise database.kind(f"{database.what}: {database.address}: there is no column '{missing[0]}'.{hint}")
    return [known[name.lower()] for name in names]


def list_of(names: Sequence[str]) -> str:
    """Columns' names for SQL."""
    return ", ".join(map(identifier, names))
