-- name: hold_chunks
LOCK TABLE parking_event, parking_count, dwelling_reading IN ACCESS SHARE MODE

-- name: ledger
SELECT route, sum(readings)::bigint, sum(stored)::bigint, sum(duplicate)::bigint, sum(dead_lettered)::bigint,
       sum(refused)::bigint
FROM ledger GROUP BY route

-- name: wrong_rows
SELECT minute, worker, route, readings, stored, duplicate, dead_lettered, refused
FROM ledger
WHERE readings <> stored + duplicate + dead_lettered + refused OR least(stored, duplicate, dead_lettered, refused) < 0
ORDER BY minute, worker, route LIMIT %s

-- name: held
SELECT count(*) FROM {table}

-- name: seen
SELECT coalesce(sum(seen), 0)::bigint FROM dead_letter

-- name: removed
SELECT table_name, sum(rows)::bigint FROM removal GROUP BY table_name

-- name: destinations
SELECT route, table_name, rows FROM destination
