-- name: no_statement_timeout
SET statement_timeout = 0

-- name: hold
-- Before the snapshot: of a chunk that is dropped after it nothing could be read any more.
LOCK TABLE {tables} IN ACCESS SHARE MODE

-- name: home
SELECT id, district, consent FROM dwelling WHERE pseudonym = %s

-- name: standing
SELECT erased_at, readmitted_at FROM erased WHERE mark = %s

-- name: time
to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS {column}

-- name: csv
COPY ({query}) TO STDOUT WITH (FORMAT csv, HEADER)

-- name: measured
SELECT {time}, sensor.name AS sensor, sensor.kind, sensor.unit, {columns}
FROM {table} AS measured JOIN sensor ON sensor.id = sensor_id
WHERE sensor.dwelling_id = %(home)s
  AND (%(since)s::timestamptz IS NULL OR {order} >= %(since)s)
  AND (%(before)s::timestamptz IS NULL OR {order} < %(before)s)
ORDER BY measured.{order}, sensor.name, sensor.unit, sensor.id

-- name: last_told
SELECT sensor.name AS sensor, sensor.kind, sensor.unit, value
FROM last_told JOIN sensor ON sensor.id = sensor_id
WHERE sensor.dwelling_id = %(home)s
ORDER BY sensor.name, sensor.unit, sensor.id

-- name: groups
SELECT month, district FROM pooled_member WHERE dwelling_id = %(home)s ORDER BY month

-- name: sensors
SELECT name AS sensor, kind, unit, pooled FROM sensor WHERE dwelling_id = %(home)s ORDER BY name, unit

-- name: pauses
SELECT {began_at}, {ended_at} FROM pause
WHERE dwelling_id = %(home)s
  AND (%(since)s::timestamptz IS NULL OR ended_at IS NULL OR ended_at > %(since)s)
  AND (%(before)s::timestamptz IS NULL OR began_at < %(before)s)
ORDER BY pause.began_at

-- name: letters
-- Whatever a home writes into a topic stands behind its own name.
SELECT received_at, last_seen_at, topic, payload, size, reason, detail, seen, repeats, replayed_at
FROM dead_letter
WHERE EXISTS (SELECT FROM unnest(%(own)s::text[]) AS own WHERE starts_with(topic || '/', own))
  AND (%(since)s::timestamptz IS NULL OR received_at >= %(since)s)
  AND (%(before)s::timestamptz IS NULL OR received_at < %(before)s)
ORDER BY id

-- name: named_elsewhere
SELECT count(*) FROM dead_letter
WHERE NOT EXISTS (SELECT FROM unnest(%(own)s::text[]) AS own WHERE starts_with(topic || '/', own))
  AND (strpos(topic, %(pseudonym)s) > 0 OR position(convert_to(%(pseudonym)s, 'UTF8') IN payload) > 0)
