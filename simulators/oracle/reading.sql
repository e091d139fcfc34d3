-- name: bays
SELECT spot.id, 'parking/' || code || '/' || label
FROM arceaux.spot JOIN arceaux.car_park ON car_park.id = car_park_id

-- name: counters
SELECT id, 'parking/' || code FROM arceaux.car_park

-- name: sensors
SELECT sensor.id, pseudonym, name FROM arceaux.sensor JOIN arceaux.dwelling ON dwelling.id = dwelling_id

-- name: parking_event between
SELECT (extract(epoch FROM time) * 1000000)::bigint, spot_id, time = arrived_at, occupied::integer
FROM arceaux.parking_event WHERE time >= %s AND time <= %s AND spot_id = ANY(%s)

-- name: parking_count between
SELECT (extract(epoch FROM time) * 1000000)::bigint, car_park_id, time = arrived_at, free, total, status
FROM arceaux.parking_count WHERE time >= %s AND time <= %s AND car_park_id = ANY(%s)

-- name: dwelling_reading between
SELECT (extract(epoch FROM time) * 1000000)::bigint, sensor_id, true, value
FROM arceaux.dwelling_reading WHERE time >= %s AND time <= %s AND sensor_id = ANY(%s)

-- name: parking_event at
SELECT (extract(epoch FROM time) * 1000000)::bigint, spot_id, time = arrived_at, occupied::integer
FROM arceaux.parking_event WHERE time = ANY(%s) AND spot_id = ANY(%s)

-- name: parking_count at
SELECT (extract(epoch FROM time) * 1000000)::bigint, car_park_id, time = arrived_at, free, total, status
FROM arceaux.parking_count WHERE time = ANY(%s) AND car_park_id = ANY(%s)

-- name: dwelling_reading at
SELECT (extract(epoch FROM time) * 1000000)::bigint, sensor_id, true, value
FROM arceaux.dwelling_reading WHERE time = ANY(%s) AND sensor_id = ANY(%s)

-- name: letters
SELECT topic, reason, digest, seen, payload IS NULL, received_at
FROM arceaux.dead_letter WHERE last_seen_at >= %s OR digest = ANY(%s)

-- name: books
SELECT (SELECT coalesce(sum(stored), 0) FROM arceaux.ledger)::bigint,
       (SELECT count(*) FROM arceaux.parking_event) + (SELECT count(*) FROM arceaux.parking_count)
           + (SELECT count(*) FROM arceaux.dwelling_reading),
       (SELECT coalesce(sum(rows), 0) FROM arceaux.removal
        WHERE table_name IN ('parking_event', 'parking_count', 'dwelling_reading'))::bigint,
       (SELECT coalesce(sum(dead_lettered), 0) FROM arceaux.ledger)::bigint,
       (SELECT coalesce(sum(seen), 0) FROM arceaux.dead_letter)::bigint,
       (SELECT coalesce(sum(rows), 0) FROM arceaux.removal WHERE table_name = 'dead_letter')::bigint

-- name: newest_events
SELECT code, label, (extract(epoch FROM newest.time) * 1000000)::bigint, bool_or(occupied)
FROM (SELECT spot_id, max(time) AS time FROM arceaux.parking_event GROUP BY spot_id) AS newest
JOIN arceaux.parking_event USING (spot_id, time)
JOIN arceaux.spot ON spot.id = spot_id JOIN arceaux.car_park ON car_park.id = car_park_id
GROUP BY code, label, newest.time

-- name: newest_free
SELECT code, (extract(epoch FROM newest.time) * 1000000)::bigint, min(free)
FROM (SELECT car_park_id, max(time) AS time FROM arceaux.parking_count GROUP BY car_park_id) AS newest
JOIN arceaux.parking_count USING (car_park_id, time) JOIN arceaux.car_park ON car_park.id = car_park_id
GROUP BY code, newest.time

-- name: newest_total
SELECT code, (extract(epoch FROM newest.time) * 1000000)::bigint, min(total)
FROM (SELECT car_park_id, max(time) AS time FROM arceaux.parking_count WHERE total <> 0 GROUP BY car_park_id) AS newest
JOIN arceaux.parking_count USING (car_park_id, time) JOIN arceaux.car_park ON car_park.id = car_park_id
WHERE total <> 0 GROUP BY code, newest.time

-- name: newest_status
SELECT code, (extract(epoch FROM newest.time) * 1000000)::bigint, min(parking_count.status COLLATE "C")
FROM (SELECT car_park_id, max(time) AS time FROM arceaux.parking_count WHERE status <> '' GROUP BY car_park_id) AS newest
JOIN arceaux.parking_count USING (car_park_id, time) JOIN arceaux.car_park ON car_park.id = car_park_id
WHERE parking_count.status <> '' GROUP BY code, newest.time
