-- name: lock
SELECT pg_advisory_lock(hashtextextended('arceaux.migrate', 0))

-- name: unlock
SELECT pg_advisory_unlock(hashtextextended('arceaux.migrate', 0))

-- name: create_schema
CREATE SCHEMA IF NOT EXISTS arceaux

-- name: create_migration
CREATE TABLE IF NOT EXISTS migration (
    version    integer PRIMARY KEY,
    name       text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)

-- name: has_migration
SELECT to_regclass('arceaux.migration') IS NOT NULL

-- name: version
SELECT coalesce(max(version), 0) FROM migration

-- name: record
INSERT INTO migration (version, name) VALUES (%s, %s)

-- name: extension_available
-- Its loader defines this setting; shared_preload_libraries may be read by administrators only.
SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb')
   AND (current_setting('timescaledb.disable_load', true) IS NOT NULL
        OR EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb'))

-- name: create_extension
CREATE EXTENSION IF NOT EXISTS timescaledb

-- name: extension
SELECT extversion, current_setting('timescaledb.license', true) FROM pg_extension WHERE extname = 'timescaledb'

-- name: server_version
SELECT current_setting('server_version')

-- name: hypertables
SELECT hypertable_name::text FROM timescaledb_information.hypertables WHERE hypertable_schema = 'arceaux'

-- name: create_hypertable
SELECT create_hypertable(%s::regclass, by_range(%s, %s::interval),
                         create_default_indexes => false, if_not_exists => true, migrate_data => true)

-- name: columnstore_policies
SELECT hypertable_name::text, (config ->> 'compress_after')::interval
FROM timescaledb_information.jobs
WHERE hypertable_schema = 'arceaux' AND proc_name IN ('policy_compression', 'policy_columnstore')

-- name: enable_columnstore
ALTER TABLE {table} SET (
    timescaledb.enable_columnstore,
    timescaledb.segmentby = {segment_by},
    timescaledb.orderby = {order_by}
)

-- name: remove_columnstore_policy
CALL remove_columnstore_policy(%s::regclass, if_exists => true)

-- name: add_columnstore_policy
CALL add_columnstore_policy(%s::regclass, after => %s::interval)
