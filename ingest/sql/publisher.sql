-- name: try_lock
SELECT pg_try_advisory_lock(hashtextextended('arceaux.publisher', 0))

-- name: car_parks
SELECT figure.car_park_id, park.code AS car_park, park.name, park.zone, figure.status, park.basis, figure.capacity,
       figure.free, figure.occupied, figure.unknown, figure.stale, figure.quality, figure.observed_at,
       figure.arrived_at, figure.revision
FROM availability AS figure JOIN car_park AS park ON park.id = figure.car_park_id
WHERE %(all)s OR figure.revision > coalesce((SELECT publication.revision FROM publication WHERE topic = %(prefix)s || park.code), 0)

-- name: city
SELECT car_parks, capacity, free, occupied, unknown, observed_at, revision FROM city_availability
WHERE %(all)s OR revision > coalesce((SELECT publication.revision FROM publication WHERE topic = %(topic)s), 0)

-- name: health
SELECT (SELECT jsonb_object_agg(state, sensors)
        FROM (SELECT state, sum(sensors) AS sensors FROM sensor_health GROUP BY state) AS summed) AS sensors,
       (SELECT jsonb_object_agg(state, sensors) FROM sensor_health WHERE domain = 'dwellings') AS dwellings,
       (SELECT coalesce(jsonb_agg(to_jsonb(named) ORDER BY since DESC NULLS LAST, asset), '[]')
        FROM (SELECT asset, state, since FROM attention ORDER BY since DESC NULLS LAST, asset LIMIT %(most)s) AS named
       ) AS attention,
       (SELECT count(*) FROM attention) AS attention_total,
       revision
FROM (SELECT max(revision) AS revision FROM sensor_health) AS newest
WHERE revision > CASE WHEN %(all)s THEN 0
                 ELSE coalesce((SELECT publication.revision FROM publication WHERE topic = %(topic)s), 0) END

-- name: districts
SELECT newest.district, newest.began_at AS start, newest.ended_at AS "end", newest.revision, told.*
FROM unnest(%(districts)s::text[]) AS wanted (district)
CROSS JOIN LATERAL (
    SELECT step.* FROM pooled_step AS step WHERE step.district = wanted.district ORDER BY revision DESC LIMIT 1
) AS newest
CROSS JOIN LATERAL (
    SELECT '>=' || min(group_at_least) AS "group",
           jsonb_agg(jsonb_build_object('kind', kind, 'unit', unit, how, value) ORDER BY kind) AS figures
    FROM pooled_figure AS figure WHERE (figure.district, figure.began_at) = (newest.district, newest.began_at)
) AS told
WHERE %(all)s OR newest.revision > coalesce((SELECT publication.revision FROM publication WHERE topic = %(prefix)s || newest.district), 0)

-- name: published
SELECT topic, revision FROM publication

-- name: record
INSERT INTO publication AS held (topic, revision, published_at) VALUES (%(topic)s, %(revision)s, %(at)s)
ON CONFLICT (topic) DO UPDATE SET
    revision = greatest(held.revision, excluded.revision), published_at = excluded.published_at

-- name: record_history
INSERT INTO availability_history (time, car_park_id, free, occupied, unknown, capacity, status, revision)
VALUES (%(at)s, %(car_park_id)s, %(free)s, %(occupied)s, %(unknown)s, %(capacity)s, %(status)s, %(revision)s)
ON CONFLICT DO NOTHING

-- name: forget
DELETE FROM publication WHERE topic = %s
