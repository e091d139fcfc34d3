-- name: end_sessions
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
  AND application_name = ANY(%(names)s) AND (pid = %(pid)s OR %(pid)s::integer IS NULL)

-- name: raise_lease
INSERT INTO worker (name, lease, batch) VALUES (%s, 1, 0)
ON CONFLICT (name) DO UPDATE SET lease = worker.lease + 1
RETURNING lease, batch, committed_at

-- name: fence
UPDATE worker SET batch = %(batch)s, committed_at = CASE WHEN %(is_replay)s THEN committed_at ELSE now() END
WHERE name = %(name)s AND lease = %(lease)s AND batch = %(batch)s - 1
RETURNING (SELECT generation FROM erasure)

-- name: share_writing
SELECT pg_advisory_lock_shared(hashtextextended('arceaux.writer', 0))

-- name: worker
SELECT lease, batch, filters FROM worker WHERE name = %s

-- name: remember_filters
UPDATE worker SET filters = %s WHERE name = %s AND lease = %s

-- name: stage_tables
CREATE TEMP TABLE stage_parking_event (LIKE parking_event) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE stage_parking_count (LIKE parking_count) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE stage_dwelling_reading (LIKE dwelling_reading) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE stage_spot_state (
    spot_id integer, occupied boolean, since timestamptz, observed_at timestamptz,
    battery double precision, last_seq integer, seq_seen bigint, missing bigint, frame bigint
) ON COMMIT DELETE ROWS

-- name: copy_parking_event
COPY parking_event (time, spot_id, occupied, arrived_at) FROM STDIN (FORMAT BINARY)

-- name: stage_parking_event
COPY stage_parking_event (time, spot_id, occupied, arrived_at) FROM STDIN (FORMAT BINARY)

-- name: merge_parking_event
INSERT INTO parking_event SELECT * FROM stage_parking_event ON CONFLICT DO NOTHING

-- name: copy_parking_count
COPY parking_count (time, car_park_id, free, total, status, arrived_at) FROM STDIN (FORMAT BINARY)

-- name: stage_parking_count
COPY stage_parking_count (time, car_park_id, free, total, status, arrived_at) FROM STDIN (FORMAT BINARY)

-- name: merge_parking_count
INSERT INTO parking_count SELECT * FROM stage_parking_count ON CONFLICT DO NOTHING

-- name: copy_dwelling_reading
COPY dwelling_reading (time, sensor_id, value) FROM STDIN (FORMAT BINARY)

-- name: generation
SELECT generation FROM erasure

-- name: stage_dwelling_reading
COPY stage_dwelling_reading (time, sensor_id, value) FROM STDIN (FORMAT BINARY)

-- name: merge_dwelling_reading
INSERT INTO dwelling_reading SELECT * FROM stage_dwelling_reading ON CONFLICT DO NOTHING

-- name: mark_minutes
INSERT INTO touched_minute (minute, sensors)
SELECT minute, (%(sensors)s)[first:last] FROM unnest(%(minutes)s, %(firsts)s, %(lasts)s) AS touched (minute, first, last)

-- name: begin_pause
INSERT INTO pause AS held (dwelling_id, began_at)
SELECT id, %(at)s FROM dwelling
WHERE pseudonym = %(home)s
  AND NOT EXISTS (SELECT FROM pause WHERE dwelling_id = dwelling.id AND ended_at IS NULL)
ON CONFLICT (dwelling_id, began_at) DO UPDATE SET ended_at = NULL

-- name: end_pause
UPDATE pause SET ended_at = greatest(began_at, %(at)s)
WHERE ended_at IS NULL AND dwelling_id = (SELECT id FROM dwelling WHERE pseudonym = %(home)s)

-- name: upsert_last_told
INSERT INTO last_told (sensor_id, value) SELECT * FROM unnest(%s::integer[], %s::double precision[])
ON CONFLICT (sensor_id) DO UPDATE SET value = excluded.value

-- name: stage_spot_state
COPY stage_spot_state (spot_id, occupied, since, observed_at, battery, last_seq, seq_seen, missing, frame)
FROM STDIN (FORMAT BINARY)

-- name: merge_spot_state
INSERT INTO spot_state (spot_id, occupied, since, observed_at, battery, last_seq, seq_seen, missing, frame)
SELECT spot_id, occupied, since, observed_at, nullif(battery, 'NaN'), nullif(last_seq, -1), seq_seen, missing,
       nullif(frame, 0)
FROM stage_spot_state
ON CONFLICT (spot_id) DO UPDATE SET
    occupied = excluded.occupied, since = excluded.since, observed_at = excluded.observed_at,
    battery = excluded.battery, last_seq = excluded.last_seq, seq_seen = excluded.seq_seen,
    missing = excluded.missing, frame = excluded.frame

-- name: upsert_count_state
INSERT INTO count_state (car_park_id, free, free_at, free_since, total, total_at, other_total_at, status, status_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (car_park_id) DO UPDATE SET
    free = excluded.free, free_at = excluded.free_at, free_since = excluded.free_since, total = excluded.total,
    total_at = excluded.total_at, other_total_at = excluded.other_total_at, status = excluded.status,
    status_at = excluded.status_at

-- name: upsert_availability
INSERT INTO availability (car_park_id, free, occupied, unknown, capacity, status, stale, quality, observed_at,
                          arrived_at, revision)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, nextval('revision'))
ON CONFLICT (car_park_id) DO UPDATE SET
    free = excluded.free, occupied = excluded.occupied, unknown = excluded.unknown, capacity = excluded.capacity,
    status = excluded.status, stale = excluded.stale, quality = excluded.quality,
    observed_at = excluded.observed_at, arrived_at = excluded.arrived_at, revision = excluded.revision

-- name: upsert_city
INSERT INTO city_availability (car_parks, capacity, free, occupied, unknown, observed_at, revision)
VALUES (%s, %s, %s, %s, %s, %s, nextval('revision'))
ON CONFLICT (singleton) DO UPDATE SET
    car_parks = excluded.car_parks, capacity = excluded.capacity, free = excluded.free,
    occupied = excluded.occupied, unknown = excluded.unknown, observed_at = excluded.observed_at,
    revision = excluded.revision

-- name: upsert_attention
INSERT INTO attention (asset, state, since) SELECT * FROM unnest(%s::text[], %s::text[], %s::timestamptz[])
ON CONFLICT (asset) DO UPDATE SET state = excluded.state, since = excluded.since

-- name: end_attention
DELETE FROM attention WHERE asset = ANY(%s)

-- name: upsert_sensor_health
WITH next AS MATERIALIZED (SELECT nextval('revision') AS revision)
INSERT INTO sensor_health (domain, state, sensors, revision)
SELECT counted.*, next.revision FROM unnest(%s::text[], %s::text[], %s::bigint[]) AS counted, next
ON CONFLICT (domain, state) DO UPDATE SET sensors = excluded.sensors, revision = excluded.revision

-- name: add_to_ledger
INSERT INTO ledger AS held (minute, worker, route, messages, readings, stored, duplicate, dead_lettered, refused)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (minute, worker, route) DO UPDATE SET
    messages = held.messages + excluded.messages, readings = held.readings + excluded.readings,
    stored = held.stored + excluded.stored, duplicate = held.duplicate + excluded.duplicate,
    dead_lettered = held.dead_lettered + excluded.dead_lettered, refused = held.refused + excluded.refused

-- name: add_to_destination
INSERT INTO destination AS held (route, table_name, rows) VALUES (%s, %s, %s)
ON CONFLICT (route, table_name) DO UPDATE SET rows = held.rows + excluded.rows
