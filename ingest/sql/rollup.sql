-- name: plan_by_keys
-- Few rows by their key, from tables that were empty a moment ago: the planner would read them whole. And since every
-- query names the time that it looks at, to choose chunks anew for every row of it only takes time.
SELECT set_config('enable_seqscan', 'off', false), set_config('jit', 'off', false),
       set_config('timescaledb.enable_runtime_exclusion', 'off', false)

-- name: try_lock
SELECT pg_try_advisory_lock(hashtextextended('arceaux.roller', 0))

-- name: share_homes
SELECT pg_advisory_lock_shared(hashtextextended('arceaux.erasure', 0))

-- name: release_homes
SELECT pg_advisory_unlock_shared(hashtextextended('arceaux.erasure', 0))

-- name: portion
-- Up to which minute: of the oldest marks as many as hold so many bytes, and all of the oldest minute.
SELECT coalesce(max(minute) FILTER (WHERE bytes <= %(bytes)s), min(minute))
FROM (
    SELECT minute, sum(pg_column_size(sensors)) OVER (ORDER BY minute, id) AS bytes
    FROM (
        SELECT minute, id, sensors FROM touched_minute WHERE minute <= %(due)s ORDER BY minute, id LIMIT %(marks)s
    ) AS oldest
) AS summed

-- name: hold_retained
-- Retention waits before it goes on to other rows; a snapshot that is older than its last step fails here.
SELECT FROM retained WHERE table_name = ANY(%(tables)s) FOR SHARE

-- name: drop_marks
DELETE FROM touched_minute
WHERE minute <= %(until)s AND minute < (SELECT max(since) FROM retained WHERE table_name = ANY(%(tables)s))

-- name: marks
SELECT array_send(array_agg(sensor_id)), array_send(array_agg(minute)), array_send(array_agg(readings))
FROM (
    SELECT sensor_id, minute, count(*)::integer AS readings
    FROM touched_minute, unnest(sensors) AS sensor_id WHERE minute <= %(until)s GROUP BY minute, sensor_id
) AS marked

-- name: take_marks
-- In the same snapshot as they were read in: these and no others.
DELETE FROM touched_minute WHERE minute <= %(until)s

-- name: next
SELECT array_send(array_agg(key.sensor_id)), array_send(array_agg(next.bucket))
FROM unnest(%(sensors)s, %(buckets)s) AS key (sensor_id, bucket)
CROSS JOIN LATERAL (
    SELECT held.bucket FROM {table} AS held
    WHERE held.sensor_id = key.sensor_id AND held.bucket > key.bucket AND held.bucket > %(first)s
    ORDER BY held.bucket LIMIT 1
) AS next

-- name: held
SELECT array_send(array_agg(key.sensor_id)), array_send(array_agg(before.last_at)), array_send(array_agg(before.last))
FROM unnest(%(sensors)s, %(buckets)s) AS key (sensor_id, bucket)
CROSS JOIN LATERAL (
    SELECT held.last_at, held.last FROM {table} AS held
    WHERE held.sensor_id = key.sensor_id AND held.bucket < key.bucket AND held.bucket < %(end)s
    ORDER BY held.bucket DESC LIMIT 1
) AS before

-- name: readings
-- Minute by minute, since the key leads with time; OFFSET keeps the planner from turning that round.
SELECT array_send(array_agg(sensor_id)), array_send(array_agg(time)), array_send(array_agg(value))
FROM (
    SELECT bucket, min(sensor_id) AS low, max(sensor_id) AS high
    FROM unnest(%(sensors)s, %(buckets)s) AS key (sensor_id, bucket) GROUP BY bucket
) AS key
CROSS JOIN LATERAL (
    SELECT sensor_id, time, value FROM dwelling_reading
    WHERE time >= key.bucket AND time < key.bucket + %(length)s AND sensor_id BETWEEN key.low AND key.high
      AND time >= %(first)s AND time < %(end)s
    OFFSET 0
) AS reading

-- name: parts
SELECT array_send(array_agg(part.bucket)), array_send(array_agg(part.sensor_id)), array_send(array_agg(n)),
       array_send(array_agg(mean)), array_send(array_agg(coalesce(stddev, 'NaN'))),
       array_send(array_agg(minimum)), array_send(array_agg(maximum)),
       array_send(array_agg(first)), array_send(array_agg(last)),
       array_send(array_agg(time_weighted_mean)), array_send(array_agg(increase)),
       array_send(array_agg(first_at)), array_send(array_agg(last_at))
FROM unnest(%(sensors)s, %(buckets)s) AS key (sensor_id, bucket)
CROSS JOIN LATERAL (
    SELECT * FROM {table} AS held
    WHERE held.sensor_id = key.sensor_id AND held.bucket >= key.bucket AND held.bucket < key.bucket + %(length)s
      AND held.bucket >= %(first)s AND held.bucket < %(end)s
    OFFSET 0
) AS part

-- name: replace
-- A row that stays as it is is not written.
INSERT INTO {table} AS held (bucket, sensor_id, n, mean, stddev, minimum, maximum, first, last,
                             time_weighted_mean, increase, first_at, last_at)
SELECT bucket, sensor_id, n, mean, nullif(stddev, 'NaN'), minimum, maximum, first, last,
       time_weighted_mean, increase, first_at, last_at
FROM unnest(%(bucket)s, %(sensor_id)s, %(n)s, %(mean)s, %(stddev)s, %(minimum)s, %(maximum)s, %(first)s, %(last)s,
            %(time_weighted_mean)s, %(increase)s, %(first_at)s, %(last_at)s)
    AS rolled (bucket, sensor_id, n, mean, stddev, minimum, maximum, first, last,
               time_weighted_mean, increase, first_at, last_at)
ON CONFLICT (sensor_id, bucket) DO UPDATE SET
    n = excluded.n, mean = excluded.mean, stddev = excluded.stddev,
    minimum = excluded.minimum, maximum = excluded.maximum, first = excluded.first, last = excluded.last,
    time_weighted_mean = excluded.time_weighted_mean, increase = excluded.increase,
    first_at = excluded.first_at, last_at = excluded.last_at
WHERE held.* IS DISTINCT FROM excluded.*

-- name: remove
DELETE FROM {table} AS held USING unnest(%(sensors)s, %(buckets)s) AS key (sensor_id, bucket)
WHERE held.sensor_id = key.sensor_id AND held.bucket = key.bucket
  AND held.bucket >= %(first)s AND held.bucket < %(end)s
