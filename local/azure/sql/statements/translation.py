"""T-SQL to what a store understands, one statement at a time, by sqlglot.

Owns what all stores need: OUTPUT, schema names, `@@` variables, rights. A store's own part (hints, types) is its
`Dialect`. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError
from sqlglot.tokenizer_core import Token, TokenType

from local.azure.sql.errors import CatalogWrite, InvalidObject, NotSupported, Syntax

# A tree (which it may change) to the text and the names of its parameters, if the text numbers them.
Dialect = Callable[[exp.Expr], tuple[str, tuple[str, ...]]]
# Catalog views that exist as tables of each database.
_CATALOG: Final = frozenset({"database_principals", "database_role_members", "database_permissions"})
# sqlglot takes the login's name for the user's (both are its CurrentUser); this one it leaves alone.
_LOGIN_NAMES: Final = {
    "SUSER_SNAME": "ORIGINAL_LOGIN", "SUSER_NAME": "ORIGINAL_LOGIN", "SYSTEM_USER": "ORIGINAL_LOGIN()",
}  # fmt: skip
_VERBS: Final = frozenset({
    "SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "CREATE", "ALTER", "DROP", "GRANT", "REVOKE", "BEGIN", "COMMIT",
    "ROLLBACK", "SET", "PRINT", "THROW", "RAISERROR",
})  # fmt: skip
_STORAGE: Final = frozenset({"CLUSTERED", "NONCLUSTERED"})
_MOST_REMEMBERED: Final = 10_000  # characters: longer texts carry data and are not sent twice
_OF_SESSION: Final = re.compile(r"@@|\bXACT_STATE\b|\bCURRENT_TRANSACTION_ID\b", re.IGNORECASE)
"""Variables and functions whose value is the session's, given as `variables`; a function's name ends in `()`."""
DEFAULT_COLLATION, BINARY_COLLATION = "standin_ci_as", "standin_bin2"
_HIDDEN: Final = ("sys_", "pg_")  # the tables behind the views, and the stores' own
# All that reaches a store. ATTACH, PRAGMA, COPY and their like would open other files.
_STATEMENTS: Final = (
    exp.Query, exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Create, exp.Drop, exp.Alter, exp.TruncateTable,
)  # fmt: skip
_RIGHTS: Final[tuple[tuple[type[exp.Expr], str], ...]] = (
    (exp.Insert, "INSERT"), (exp.Update, "UPDATE"), (exp.Delete, "DELETE"), (exp.Merge, "UPDATE"),
    (exp.Create, "CREATE TABLE"), (exp.Drop, "ALTER"), (exp.Alter, "ALTER"), (exp.TruncateTable, "ALTER"),
)  # fmt: skip


@dataclass(frozen=True)
class Translated:
    """A statement for a store: its text, its verb, and the rights it needs with the tables it touches."""

    sql: str
    parameters: tuple[str, ...]  # names of `$1`, `$2`, ...; empty where the text has the names itself
    verb: str
    writes: bool
    needs: tuple[tuple[str, str], ...]
    columns: tuple[str, ...] | None  # names of the result's columns; None: as the store gives them


def split(text: str) -> tuple[str, ...]:
    """The statements of a batch, still T-SQL, cut at semicolons and without comments."""
    return _split_remembered(text) if len(text) < _MOST_REMEMBERED else _split(text)


@lru_cache(maxsize=512)
def _split_remembered(text: str) -> tuple[str, ...]:
    return _split(text)


def _split(text: str) -> tuple[str, ...]:
    pieces, current, depth, end = [], "", 0, 0
    for token in _tokens(text):
        kind = token.token_type
        depth += (kind == TokenType.L_PAREN) - (kind == TokenType.R_PAREN)
        gap = " " if token.start > end else ""
        end = token.end + 1
        if kind == TokenType.VAR and token.text.upper() in _STORAGE:
            continue  # sqlglot does not know them everywhere, and they change no result
        if kind == TokenType.SEMICOLON and depth == 0:
            pieces.append(current)
            current = ""
        else:
            current += gap + _LOGIN_NAMES.get(token.text.upper(), text[token.start : end])
    return tuple(piece.strip() for piece in (*pieces, current) if piece.strip())


def split_condition(text: str) -> tuple[str, str]:
    """`IF condition statement`, without the IF, as condition and statement."""
    depth = 0
    for token in _tokens(text):
        kind = token.token_type
        depth += (kind == TokenType.L_PAREN) - (kind == TokenType.R_PAREN)
        if depth == 0 and token.start and token.text.upper() in _VERBS:
            return text[: token.start], text[token.start :]
    raise NotSupported(f"this form of IF: {text[:60]}")


def parse(text: str) -> list[exp.Expr]:
    """The statements of a text that sqlglot reads; Syntax for what is no T-SQL."""
    try:
        return [tree for tree in sqlglot.parse(text, read="tsql") if tree is not None]
    except ParseError as error:
        detail = error.errors[0] if error.errors else {}
        near = detail.get("highlight") or text[:40]
        raise Syntax(f"Incorrect syntax near '{near}'.") from error


def translations(text: str, variables: Mapping[str, int | str], dialect: Dialect) -> tuple[Translated, ...]:
    """The statements of a text for a store. Parsing takes milliseconds, so texts without variables are remembered."""
    if len(text) >= _MOST_REMEMBERED or _OF_SESSION.search(text):
        return tuple(translate(tree, variables, dialect) for tree in parse(text))
    return _remembered(text, dialect)


@lru_cache(maxsize=512)
def _remembered(text: str, dialect: Dialect) -> tuple[Translated, ...]:
    return tuple(translate(tree, {}, dialect) for tree in parse(text))


def translate(tree: exp.Expr, variables: Mapping[str, int | str], dialect: Dialect) -> Translated:
    """The statement for a store. Parameters become placeholders, which the dialect writes in its way."""
    if not isinstance(tree, _STATEMENTS):
        raise NotSupported(f"this statement: {' '.join(tree.sql('tsql').split())[:100]}")
    needs = _needs(tree)
    if isinstance(tree, exp.TruncateTable):
        tree = exp.delete(tree.expressions[0])
    tree = tree.transform(_plain)
    for node in list(tree.find_all(exp.SessionParameter, exp.Parameter)):
        if (name := _variable(node)) is None:
            if not isinstance(node.parent, exp.Parameter):
                node.replace(exp.Placeholder(this=node.name))
            continue
        if name not in variables:
            raise NotSupported(f"@@{name}")
        value = variables[name]
        node.replace(exp.Literal.string(value) if isinstance(value, str) else exp.Literal.number(value))
    for node in list(tree.find_all(exp.Anonymous)):
        if (value := variables.get(f"{node.name.upper()}()")) is not None:
            node.replace(exp.Literal.number(value))
    for kind in tree.find_all(exp.DataType):
        if any(size.name.upper() == "MAX" for size in kind.expressions):
            kind.set("expressions", [])
    columns = _column_names(tree)
    for output in tree.find_all(exp.Returning):
        for column in output.find_all(exp.Column):
            if column.table.upper() == "DELETED" and isinstance(tree, exp.Update):
                raise NotSupported("OUTPUT DELETED of an UPDATE (the stores give new values only)")
            if column.table.upper() in ("INSERTED", "DELETED"):
                column.set("table", None)
        if output.args.get("into"):
            raise NotSupported("OUTPUT ... INTO")
    for table in tree.find_all(exp.Table):
        if table.db.lower() == "sys":
            if table.name.lower() not in _CATALOG:
                raise NotSupported(f"the catalog view sys.{table.name}")
            if not isinstance(tree, exp.Query):
                raise CatalogWrite
            table.set("this", exp.to_identifier(f"sys_{table.name.lower()}"))
        elif table.name.lower().startswith(_HIDDEN):
            raise InvalidObject(table.name)
        table.set("db", None)
        table.set("catalog", None)
    collations(tree)
    verb, writes = _verb(tree), not isinstance(tree, exp.Query)
    sql, parameters = dialect(tree)
    return Translated(sql, parameters, verb, writes, needs, columns)


def collations(tree: exp.Expr) -> None:
    """Give every text column of a table its collation, as one of ours: SQL Server's default where none is named.

    Names of SQL Server's collations end in what they compare: `_BIN`, `_BIN2` the bytes, `_CI_AS` letters without case.
    https://learn.microsoft.com/sql/relational-databases/collations/collation-and-unicode-support
    """
    for column in tree.find_all(exp.AlterColumn):
        if (named := column.args.get("collate")) is not None:
            column.set("collate", exp.to_identifier(_collation(named.name)))
    for column in tree.find_all(exp.ColumnDef):
        if column.kind is None or column.kind.this not in exp.DataType.TEXT_TYPES:
            continue
        named = next((one for one in column.constraints if isinstance(one.kind, exp.CollateColumnConstraint)), None)
        if named is None:
            collated = exp.CollateColumnConstraint(this=exp.to_identifier(DEFAULT_COLLATION))
            column.set("constraints", [exp.ColumnConstraint(kind=collated), *column.constraints])
        else:
            named.kind.set("this", exp.to_identifier(_collation(named.kind.this.name)))


def _collation(name: str) -> str:
    if name.upper().endswith(("_BIN", "_BIN2")):
        return BINARY_COLLATION
    if re.search(r"_CI_AS(_SC)?(_UTF8)?$", name, re.IGNORECASE):
        return DEFAULT_COLLATION
    raise NotSupported(f"the collation {name} (it has *_BIN2 and *_CI_AS)")


def _plain(node: exp.Expr) -> exp.Expr:
    """Nodes that the generators of other dialects get wrong, as plain ones."""
    if isinstance(node, exp.National):
        return exp.Literal.string(node.name)
    if isinstance(node, exp.Add) and any(
        isinstance(side, (exp.National, exp.Literal)) and not side.is_number for side in (node.left, node.right)
    ):
        return exp.DPipe(this=node.left, expression=node.right, safe=True)
    if isinstance(node, exp.CurrentUser):
        return exp.Anonymous(this="USER_NAME")
    if isinstance(node, exp.CurrentTimestamp):
        return exp.Anonymous(this="GETDATE")
    if isinstance(node, exp.CurrentTimestampLTZ):
        return exp.Anonymous(this="SYSDATETIMEOFFSET")
    return node


def _verb(tree: exp.Expr) -> str:
    for kind, verb in ((exp.Insert, "INSERT"), (exp.Update, "UPDATE"), (exp.Delete, "DELETE"), (exp.Merge, "MERGE")):
        if isinstance(tree, kind):
            return verb
    return "SELECT" if isinstance(tree, exp.Query) else ""


def _tokens(text: str) -> list[Token]:
    try:
        return sqlglot.tokenize(text, read="tsql")
    except TokenError as error:
        raise Syntax(f"Incorrect syntax near '{text[:40]}'.") from error


def _variable(node: exp.Expr) -> str | None:
    """The name of `@@NAME`, or None for an ordinary parameter."""
    if isinstance(node, exp.SessionParameter):
        return node.name.upper()
    if isinstance(node.this, exp.Parameter):
        return node.this.name.upper()
    return None


def _needs(tree: exp.Expr) -> tuple[tuple[str, str], ...]:
    target = None
    found: list[tuple[str, str]] = []
    for kind, right in _RIGHTS:
        if isinstance(tree, kind):
            target = tree.find(exp.Table)
            found.append((right, target.name if target else ""))
    ctes = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        if table is not target and table.db.lower() != "sys" and table.name.lower() not in ctes:
            found.append(("SELECT", table.name))
    return tuple(found)


def _column_names(tree: exp.Expr) -> tuple[str, ...] | None:
    """SQL Server leaves a computed column without a name; the stores would show something of their own."""
    listed = tree if isinstance(tree, exp.Select) else tree.args.get("returning")
    if listed is None or any(one.is_star for one in listed.expressions):
        return None
    return tuple(one.alias_or_name if isinstance(one, (exp.Alias, exp.Column)) else "" for one in listed.expressions)
