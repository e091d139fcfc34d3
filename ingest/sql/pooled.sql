-- name: lock
-- One judge in a deployment, and none while a home is being erased. What is read after it is read anew.
SELECT pg_advisory_xact_lock(hashtextextended('arceaux.pooled', 0)),
       pg_advisory_xact_lock_shared(hashtextextended('arceaux.erasure', 0))

-- name: now
SELECT clock_timestamp()

-- name: fix_month
WITH fixed AS (
    INSERT INTO pooled_month (month, fixed_at) VALUES (%(month)s, %(now)s) ON CONFLICT DO NOTHING RETURNING month
), members AS (
    INSERT INTO pooled_member (month, dwelling_id, district)
    SELECT fixed.month, dwelling.id, dwelling.district FROM fixed, dwelling WHERE consent
)
SELECT count(*) FROM fixed

-- name: forget_members
DELETE FROM pooled_member WHERE month < %(month)s::date - interval '1 month'

-- name: last_judged
SELECT max(began_at) FROM pooled_step WHERE district = %s AND began_at <= %s

-- name: waits_for_roller
SELECT EXISTS (SELECT FROM touched_minute WHERE minute >= %(before)s AND minute < %(end)s)

-- name: members
SELECT member.dwelling_id,
       coalesce(dwelling.consent AND dwelling.district = member.district, false) AND NOT EXISTS (
           SELECT FROM pause
           WHERE pause.dwelling_id = member.dwelling_id
             AND began_at < %(end)s AND coalesce(ended_at, 'infinity') > %(before)s
       )
FROM pooled_member AS member LEFT JOIN dwelling ON dwelling.id = member.dwelling_id
WHERE member.month = %(month)s AND member.district = %(district)s

-- name: heard
SELECT sensor.dwelling_id, sensor.kind, sensor.unit,
       avg(time_weighted_mean) FILTER (WHERE bucket >= %(start)s),
       CASE WHEN bool_or(bucket < %(start)s) THEN sum(increase) FILTER (WHERE bucket >= %(start)s) END
FROM pooled_member AS member
JOIN sensor ON sensor.dwelling_id = member.dwelling_id AND sensor.pooled AND sensor.kind = ANY(%(kinds)s)
JOIN dwelling_minute ON dwelling_minute.sensor_id = sensor.id AND bucket >= %(before)s AND bucket < %(end)s
WHERE member.month = %(month)s AND member.district = %(district)s
GROUP BY sensor.id

-- name: write_step
INSERT INTO pooled_step (district, began_at, ended_at, suppressed, judged_at, revision)
VALUES (%(district)s, %(start)s, %(end)s, %(suppressed)s, %(now)s, nextval('revision'))

-- name: write_figures
INSERT INTO pooled_figure (district, began_at, ended_at, kind, unit, how, value, group_at_least)
SELECT %(district)s, %(start)s, %(end)s, told.*, %(minimum)s
FROM unnest(%(names)s::text[], %(units)s::text[], %(hows)s::text[], %(values)s::double precision[]) AS told
