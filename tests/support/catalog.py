"""Snapshot of the catalog of a database."""

from tests.support.databases import Connection, fetch_all


def dump_catalog(db: Connection) -> list[tuple[object, ...]]:
    """Return definitions of tables, views, indexes, triggers and functions, and the comments of columns."""
    return fetch_all(
        db,
        "SELECT relname, relkind::text, coalesce(pg_get_viewdef(oid), pg_get_indexdef(oid)) FROM pg_class"
        " WHERE relnamespace = 'public'::regnamespace"
        " UNION ALL SELECT attrelid::regclass || '.' || attname, 'column', col_description(attrelid, attnum)"
        " FROM pg_attribute WHERE attrelid IN ("
        "   SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v'))"
        " AND attnum > 0 AND NOT attisdropped"
        " UNION ALL SELECT tgname, 'trigger', pg_get_triggerdef(oid) FROM pg_trigger"
        " UNION ALL SELECT proname, 'function', pg_get_functiondef(oid) FROM pg_proc"
        " WHERE pronamespace = 'public'::regnamespace ORDER BY 1, 2, 3",
    )
