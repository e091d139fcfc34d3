-- name: ledger
SELECT coalesce(sum(messages), 0), coalesce(sum(readings), 0), coalesce(sum(stored), 0), coalesce(sum(duplicate), 0),
       coalesce(sum(dead_lettered), 0), coalesce(sum(refused), 0)
FROM ledger

-- name: held
SELECT 'parking_event', count(*) FROM parking_event
UNION ALL
SELECT 'parking_count', count(*) FROM parking_count
UNION ALL
SELECT 'dwelling_reading', count(*) FROM dwelling_reading
UNION ALL
SELECT 'dead_letter', coalesce(sum(seen), 0) FROM dead_letter

-- name: removed
SELECT table_name, sum(rows) FROM removal GROUP BY table_name
