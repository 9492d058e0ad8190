"""What every PostgreSQL database of ours has: the catalog behind `sys.*`, and T-SQL's functions."""

from __future__ import annotations

from typing import Final

ROLE: Final = "standin"  # as whom sessions run: owner of their database, not superuser
VERSION: Final = 2  # of the script below, kept in each database; change both together

# SQL_Latin1_General_CP1_CI_AS compares NVARCHAR by Windows' rules: no case, no width, no kind of kana; accents count.
# ICU's second level is that. What PostgreSQL cannot do, and SQL Server does in every collation: pass over blanks at
# the end of a text (docs/local-azure.md).
CATALOG: Final = """
CREATE COLLATION IF NOT EXISTS standin_ci_as (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE COLLATION IF NOT EXISTS standin_bin2 (provider = libc, locale = 'C');
CREATE TABLE IF NOT EXISTS sys_database_principals (
    name TEXT NOT NULL PRIMARY KEY, principal_id INTEGER NOT NULL UNIQUE, type TEXT NOT NULL, type_desc TEXT NOT NULL,
    sid BYTEA UNIQUE, default_schema_name TEXT, authentication_type_desc TEXT);
CREATE UNIQUE INDEX IF NOT EXISTS sys_principals_by_name ON sys_database_principals (lower(name));
CREATE TABLE IF NOT EXISTS sys_database_role_members (
    role TEXT NOT NULL, member TEXT NOT NULL, PRIMARY KEY (role, member));
CREATE TABLE IF NOT EXISTS sys_database_permissions (
    permission TEXT NOT NULL, grantee TEXT NOT NULL, PRIMARY KEY (permission, grantee));
INSERT INTO sys_database_principals VALUES
    ('public', 0, 'R', 'DATABASE_ROLE', NULL, NULL, 'NONE'), ('dbo', 1, 'S', 'SQL_USER', '\\x01', 'dbo', 'INSTANCE')
    ON CONFLICT DO NOTHING;
"""

FUNCTIONS: Final = "\n".join(
    f"CREATE OR REPLACE FUNCTION {head} LANGUAGE sql {kind} AS $$ SELECT {body} $$;"
    for head, kind, body in (
        ("original_login() RETURNS text", "STABLE", "current_setting('standin.login', true)"),
        ("user_name() RETURNS text", "STABLE", "current_setting('standin.user', true)"),
        ("db_name() RETURNS text", "STABLE", "current_setting('standin.database', true)"),
        ("schema_name() RETURNS text", "IMMUTABLE", "'dbo'::text"),
        # Constant within a statement, as in SQL Server; CURRENT_TIMESTAMP would be so within a transaction.
        ("sysutcdatetime() RETURNS timestamp", "STABLE", "timezone('utc', statement_timestamp())"),
        ("getutcdate() RETURNS timestamp", "STABLE", "timezone('utc', statement_timestamp())"),
        ("sysdatetime() RETURNS timestamp", "STABLE", "timezone('utc', statement_timestamp())"),
        ("getdate() RETURNS timestamp", "STABLE", "timezone('utc', statement_timestamp())"),
        ("sysdatetimeoffset() RETURNS timestamptz", "STABLE", "statement_timestamp()"),
        ("newid() RETURNS uuid", "VOLATILE", "gen_random_uuid()"),
        ("object_id(named text) RETURNS int", "STABLE",
         "to_regclass(lower(replace(replace(regexp_replace(named, '^\\[?dbo\\]?\\.', '', 'i'), '[', ''), ']', '')))"
         "::oid::int"),
        ("object_id(named text, kind text) RETURNS int", "STABLE", "object_id(named)"),
        ("col_length(named text, field text) RETURNS int", "STABLE",
         "(SELECT CASE WHEN attlen > 0 THEN attlen WHEN atttypmod > 4 THEN atttypmod - 4 ELSE -1 END FROM pg_attribute "
         "WHERE attrelid = object_id(named)::oid AND attname = lower(field) AND NOT attisdropped)"),
        ("serverproperty(named text) RETURNS text", "IMMUTABLE",
         "CASE lower(named) WHEN 'productversion' THEN '16.0.1000.6' WHEN 'edition' THEN 'SQL Azure' "
         "WHEN 'engineedition' THEN '5' WHEN 'servername' THEN 'local-azure-sql' END"),
    )
)  # fmt: skip
