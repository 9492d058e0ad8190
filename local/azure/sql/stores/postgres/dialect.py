"""T-SQL trees as PostgreSQL: names, types, parameters, and what the table hints of a queue mean there.

Hints: READPAST with UPDLOCK is FOR UPDATE SKIP LOCKED, UPDLOCK or XLOCK alone is FOR UPDATE, others change nothing.
HOLDLOCK locks a range, which PostgreSQL has not; where it guards an insert (INSERT ... WHERE NOT EXISTS (... WITH
(HOLDLOCK))), ON CONFLICT DO NOTHING does the same: the second one waits for the first, and then adds nothing.
Names compare without case, so all are written small; `translation.py` keeps the case of a result's columns.
"""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from local.azure.sql.errors import NotSupported
from local.azure.sql.statements.translation import BINARY_COLLATION

_TYPES: Final = {
    exp.DType.BIT: "SMALLINT", exp.DType.BOOLEAN: "SMALLINT", exp.DType.TINYINT: "SMALLINT",
    exp.DType.UTINYINT: "SMALLINT", exp.DType.DATETIME: "TIMESTAMP", exp.DType.DATETIME2: "TIMESTAMP",
    exp.DType.SMALLDATETIME: "TIMESTAMP", exp.DType.TIMESTAMPTZ: "TIMESTAMPTZ", exp.DType.UUID: "UUID",
    exp.DType.MONEY: "NUMERIC(19, 4)", exp.DType.SMALLMONEY: "NUMERIC(10, 4)",
    exp.DType.VARBINARY: "BYTEA", exp.DType.BINARY: "BYTEA", exp.DType.IMAGE: "BYTEA", exp.DType.TEXT: "TEXT",
    exp.DType.FLOAT: "DOUBLE PRECISION",
}  # fmt: skip
_FOR_UPDATE: Final = frozenset({"UPDLOCK", "XLOCK"})
_RANGE: Final = frozenset({"HOLDLOCK", "SERIALIZABLE"})


def to_postgres(tree: exp.Expr) -> tuple[str, tuple[str, ...]]:
    """The text, and which parameter each `$n` is."""
    if isinstance(tree, exp.Update):
        tree = _through_cte(tree)
    _lock(tree)
    for kind in list(tree.find_all(exp.DataType)):
        if name := _TYPES.get(kind.this):
            kind.replace(exp.DataType.build(name, dialect="postgres"))
    for node in list(tree.find_all(exp.HexString)):
        node.replace(exp.cast(exp.Literal.string(f"\\x{node.name}"), "BYTEA", dialect="postgres"))
    for key in list(tree.find_all(exp.PrimaryKey)):
        key.set("expressions", [one.this if isinstance(one, exp.Ordered) else one for one in key.expressions])
    for like in list(tree.find_all(exp.Like)):  # PostgreSQL has no LIKE for a collation that passes over differences
        sides = {"this": _by_bytes(like.this), "expression": _by_bytes(like.expression)}
        like.replace(exp.ILike(**{**like.args, **sides}))
    if isinstance(tree, exp.Drop):
        tree.set("cluster", None)  # DROP INDEX i ON t: an index has a name of its own here
    for column in tree.find_all(exp.Identifier):
        column.set("this", column.name.lower())
        column.set("quoted", True)
    if isinstance(tree, exp.Update):
        for assignment in tree.expressions:
            if isinstance(assignment.this, exp.Column):
                assignment.this.set("table", None)  # SET t.a = 1 is not PostgreSQL's
    names: list[str] = []
    for node in list(tree.find_all(exp.Placeholder)):
        names.append(node.name)
        node.replace(exp.Parameter(this=exp.Literal.number(len(names))))
    return tree.sql("postgres"), tuple(names)


def _by_bytes(text: exp.Expr) -> exp.Expr:
    return exp.Collate(this=exp.Paren(this=text.copy()), expression=exp.to_identifier(BINARY_COLLATION))


def _hints(table: exp.Table) -> set[str]:
    found = {word.name.upper() for hint in table.args.get("hints") or () for word in hint.expressions}
    table.set("hints", None)
    return found


def _lock(tree: exp.Expr) -> None:
    """Hints of each table as row locks of its SELECT, or as a choice of rows for the target of an UPDATE or DELETE."""
    target = tree.this if isinstance(tree, (exp.Update, exp.Delete)) else None
    if isinstance(target, exp.Table) and "READPAST" in _hints(target):
        chosen = exp.select("ctid").from_(target.copy())
        if (where := tree.args.get("where")) is not None:
            chosen = chosen.where(where.this.copy())
        chosen.set("locks", [exp.Lock(update=True, wait=False)])
        tree.set("where", _among(chosen))
    for table in list(tree.find_all(exp.Table)):
        hints = _hints(table)
        if isinstance(tree, exp.Insert) and hints & _RANGE:
            tree.set("conflict", exp.OnConflict(action=exp.var("DO NOTHING")))
        select = table.find_ancestor(exp.Select)
        if select is None or not hints & _FOR_UPDATE:
            continue
        if select.args.get("group") or any(one.find(exp.AggFunc) for one in select.expressions):
            continue  # PostgreSQL locks no rows that are counted or summed
        select.set("locks", [exp.Lock(update=True, wait=False if "READPAST" in hints else None)])


def _through_cte(tree: exp.Update) -> exp.Update:
    """`WITH c AS (SELECT ... FROM t) UPDATE c SET ...` as an update of the rows of t that c names."""
    with_ = tree.args.get("with_")
    target = tree.this
    found = [one for one in (with_.expressions if with_ else ()) if one.alias.lower() == target.name.lower()]
    if not found:
        return tree
    select = found[0].this
    source = select.args.get("from_")
    if not isinstance(source and source.this, exp.Table) or select.args.get("joins"):
        raise NotSupported("UPDATE of a common table expression over more than one table")
    assert with_ is not None
    left = [one for one in with_.expressions if one is not found[0]]
    tree.set("with_", exp.With(expressions=left) if left else None)
    if (where := tree.args.get("where")) is not None:
        select = select.where(where.this.copy())
    select.set("expressions", [exp.column("ctid")])
    base = source.this.copy()
    for key in ("hints", "alias"):
        base.set(key, None)
    tree.set("this", base)
    tree.set("where", _among(select.copy()))
    return tree


def _among(rows: exp.Select) -> exp.Where:
    """The rows with these physical addresses: chosen and locked by the same statement, so they do not move."""
    return exp.Where(this=exp.column("ctid").eq(exp.Any(this=exp.Paren(this=exp.func("ARRAY", rows)))))
