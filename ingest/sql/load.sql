-- name: lock_registry
SELECT pg_advisory_xact_lock(hashtextextended('arceaux.registry', 0))

-- name: upsert_car_parks
INSERT INTO car_park AS held (code, name, zone, capacity, latitude, longitude, basis)
SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::integer[], %s::double precision[],
                     %s::double precision[], %s::text[])
ON CONFLICT (code) DO UPDATE SET
    name = excluded.name, zone = excluded.zone, capacity = excluded.capacity, latitude = excluded.latitude,
    longitude = excluded.longitude, basis = excluded.basis
WHERE (held.name, held.zone, held.capacity, held.latitude, held.longitude, held.basis)
      IS DISTINCT FROM
      (excluded.name, excluded.zone, excluded.capacity, excluded.latitude, excluded.longitude, excluded.basis)
RETURNING id

-- name: revise
UPDATE availability SET revision = nextval('revision') WHERE car_park_id = ANY(%s)

-- name: car_park_ids
SELECT code, id FROM car_park

-- name: upsert_spots
INSERT INTO spot AS held (car_park_id, label, kind)
SELECT * FROM unnest(%s::integer[], %s::text[], %s::text[])
ON CONFLICT (car_park_id, label) DO UPDATE SET kind = excluded.kind WHERE held.kind <> excluded.kind

-- name: spot_ids
SELECT code, label, spot.id FROM spot JOIN car_park ON car_park.id = car_park_id

-- name: forget_departed
DELETE FROM availability WHERE car_park_id <> ALL(%s)

-- name: end_departed_attention
DELETE FROM attention WHERE asset <> ALL(%s)

-- name: upsert_dwellings
INSERT INTO dwelling AS held (pseudonym, district, consent)
SELECT *, true FROM unnest(%s::text[], %s::text[])
ON CONFLICT (pseudonym) DO UPDATE SET district = excluded.district, consent = true
WHERE held.district <> excluded.district OR NOT held.consent

-- name: withdraw_consent
UPDATE dwelling SET consent = false WHERE consent AND pseudonym <> ALL(%s)

-- name: dwelling_ids
SELECT pseudonym, id FROM dwelling

-- name: upsert_sensors
-- Of homes that consent: one that was withdrawn or erased since its message was decoded gets none. What the registry
-- lists is written over what is there; what was met in a message is not, since another service may know of its listing.
INSERT INTO sensor AS held (dwelling_id, name, kind, unit, pooled)
SELECT met.*
FROM unnest(%(home)s::integer[], %(name)s::text[], %(kind)s::text[], %(unit)s::text[], %(pooled)s::boolean[])
     AS met (dwelling_id, name, kind, unit, pooled)
JOIN dwelling ON dwelling.id = met.dwelling_id AND consent
ON CONFLICT (dwelling_id, name, unit) DO UPDATE SET
    kind = CASE WHEN %(is_listed)s THEN excluded.kind ELSE held.kind END,
    pooled = CASE WHEN %(is_listed)s THEN excluded.pooled ELSE held.pooled END
RETURNING dwelling_id, name, unit, id

-- name: sensors
SELECT id, dwelling_id, name, kind, unit FROM sensor ORDER BY id

-- name: last_told
SELECT sensor_id, value FROM last_told

-- name: add_pauses
INSERT INTO pause (dwelling_id, began_at, ended_at)
SELECT id, began_at, ended_at
FROM unnest(%s::text[], %s::timestamptz[], %s::timestamptz[]) AS known (pseudonym, began_at, ended_at)
JOIN dwelling USING (pseudonym)
ON CONFLICT (dwelling_id, began_at) DO NOTHING

-- name: pauses
SELECT pseudonym, began_at, ended_at FROM pause JOIN dwelling ON dwelling.id = dwelling_id

-- name: spot_states
SELECT spot_id, occupied, since, observed_at, battery, last_seq, seq_seen, missing, frame FROM spot_state

-- name: count_states
SELECT car_park_id, free, free_at, free_since, total, total_at, other_total_at, status, status_at FROM count_state

-- name: attention
SELECT asset, state, since, now() FROM attention

-- name: figures
SELECT car_park_id, capacity, free, occupied, unknown, status, stale, quality, observed_at FROM availability

-- name: city
SELECT capacity, free, occupied, unknown, observed_at FROM city_availability WHERE car_parks = %s
