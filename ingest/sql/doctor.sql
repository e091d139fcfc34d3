-- name: settings
SELECT name, setting FROM pg_settings WHERE name = ANY(%s)

-- name: is_standby
SELECT pg_is_in_recovery()

-- name: connections
SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'

-- name: clock
SELECT extract(epoch FROM clock_timestamp())::float8

-- name: lacking
SELECT kind || ' on ' || relname
FROM pg_class,
     unnest(CASE relkind WHEN 'S' THEN ARRAY['USAGE'] ELSE ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE'] END) AS kind
WHERE relnamespace = to_regnamespace('arceaux') AND relkind IN ('r', 'p', 'S')
  AND NOT CASE relkind WHEN 'S' THEN has_sequence_privilege(pg_class.oid, kind)
                       ELSE has_table_privilege(pg_class.oid, kind) END
UNION ALL
SELECT 'TEMPORARY on the database' WHERE NOT has_database_privilege(current_database(), 'TEMPORARY')
ORDER BY 1

-- name: chunks
SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_schema = 'arceaux'

-- name: failed_jobs
SELECT hypertable_name::text
FROM timescaledb_information.job_stats
WHERE hypertable_schema = 'arceaux' AND last_run_status = 'Failed'
ORDER BY 1

-- name: workers
SELECT name, lease, batch, now() - committed_at, filters FROM worker ORDER BY name

-- name: spots
SELECT code, label, observed_at FROM spot_state JOIN spot ON spot.id = spot_id JOIN car_park ON car_park.id = car_park_id

-- name: counters
SELECT code, greatest(free_at, total_at, status_at) FROM count_state JOIN car_park ON car_park.id = car_park_id

-- name: attention
SELECT state, array_agg(asset ORDER BY since DESC, asset) FROM attention WHERE state <> 'silent' GROUP BY state ORDER BY state

-- name: dead_letters
SELECT reason,
       coalesce(sum(seen) FILTER (WHERE received_at > now() - interval '1 hour'), 0)::bigint,
       sum(CASE WHEN received_at > now() - interval '1 hour' THEN repeats ELSE 1 END)::bigint
FROM dead_letter
WHERE last_seen_at > now() - interval '1 hour'
GROUP BY reason
ORDER BY 2 DESC, 3 DESC

-- name: size
SELECT pg_database_size(current_database())

-- name: held
SELECT coalesce((SELECT sum(stored) FROM ledger), 0)::bigint
     - coalesce((SELECT sum(rows) FROM removal
                 WHERE table_name IN ('parking_event', 'parking_count', 'dwelling_reading')), 0)::bigint

-- name: added
SELECT coalesce(sum(stored), 0)::bigint FROM ledger WHERE minute > now() - interval '1 day'

-- name: marks
SELECT count(*), coalesce(max(now() - greatest(marked_at, minute + interval '70 seconds')), interval '0')
FROM touched_minute WHERE minute <= now() - interval '70 seconds'
