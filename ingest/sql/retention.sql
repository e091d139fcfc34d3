-- name: try_lock
SELECT pg_try_advisory_lock(hashtextextended('arceaux.retention', 0))

-- name: note_retained
INSERT INTO retained AS held (table_name, since) VALUES (%s, %s)
ON CONFLICT (table_name) DO UPDATE SET since = excluded.since WHERE held.since < excluded.since

-- name: has_chunks
SELECT to_regclass('timescaledb_information.chunks') IS NOT NULL

-- name: chunks
SELECT chunk_schema::text, chunk_name::text, range_start, range_end
FROM timescaledb_information.chunks
WHERE hypertable_schema = 'arceaux' AND hypertable_name = %s AND range_end <= %s
ORDER BY range_start

-- name: no_statement_timeout
SET LOCAL statement_timeout = 0

-- name: lock_chunk
LOCK TABLE {chunk} IN SHARE MODE

-- name: count_chunk
SELECT count(*) FROM {chunk}

-- name: drop_chunk
SELECT drop_chunks(%s::regclass, newer_than => %s::timestamptz, older_than => %s::timestamptz)

-- name: record
INSERT INTO removal (table_name, rows, cause) VALUES (%s, %s, 'retention')

-- name: no_decompression_limit
SET LOCAL timescaledb.max_tuples_decompressed_per_dml_transaction = 0

-- name: portion_end
SELECT {column} FROM {table} WHERE {column} < %s ORDER BY {column} OFFSET %s LIMIT 1

-- name: delete_portion
DELETE FROM {table} WHERE {column} < %s AND {column} <= %s

-- name: delete_dead_letters
WITH gone AS (
    DELETE FROM dead_letter
    -- FOR UPDATE: those that another removes meanwhile do not count towards the portion.
    WHERE id IN (
        SELECT id FROM dead_letter WHERE received_at < %(before)s ORDER BY received_at LIMIT %(most)s FOR UPDATE
    )
    RETURNING seen
), counted AS (
    SELECT count(*) AS letters, coalesce(sum(seen), 0)::bigint AS readings FROM gone
), recorded AS (
    INSERT INTO removal (table_name, rows, cause)
    SELECT 'dead_letter', readings, %(cause)s FROM counted WHERE letters > 0
)
SELECT letters, readings FROM counted
