"""Snapshot of the catalog of a database."""

from tests.support.databases import Connection, fetch_all

RELATIONS = """
    SELECT relname, relkind::text, coalesce(pg_get_viewdef(oid), pg_get_indexdef(oid)), relacl::text,
        obj_description(oid, 'pg_class')
    FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind <> 't'
"""
COLUMNS = """
    SELECT attrelid::regclass::text, attname, format_type(atttypid, atttypmod), attnotnull, attidentity::text,
        attgenerated::text, pg_get_expr(adbin, adrelid), attacl::text, col_description(attrelid, attnum)
    FROM pg_attribute LEFT JOIN pg_attrdef ON (adrelid, adnum) = (attrelid, attnum)
    WHERE attrelid IN (
        SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v')
    ) AND attnum > 0 AND NOT attisdropped
"""
CONSTRAINTS = """
    SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace
"""
TRIGGERS = "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger"
FUNCTIONS = """
    SELECT proname, pg_get_functiondef(oid), proacl::text, obj_description(oid, 'pg_proc') FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace
"""


def dump_catalog(db: Connection) -> dict[str, list[tuple[object, ...]]]:
    """Return definitions, privileges and comments of everything in schema public."""
    queries = {
        "relations": RELATIONS,
        "columns": COLUMNS,
        "constraints": CONSTRAINTS,
        "triggers": TRIGGERS,
        "functions": FUNCTIONS,
    }
    return {name: sorted(fetch_all(db, query), key=repr) for name, query in queries.items()}
