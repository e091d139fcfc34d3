-- name: share
-- A statement of its own: what looks at the generation has to begin once the lock is held.
SELECT pg_advisory_xact_lock_shared(hashtextextended('arceaux.erasure', 0))

-- name: wait_shortly
SET LOCAL lock_timeout = '2s'

-- name: lock
SELECT pg_advisory_xact_lock(hashtextextended('arceaux.erasure', 0))

-- name: look
SELECT generation, mark, readmitted_at FROM erasure LEFT JOIN erased ON true

-- name: next_generation
UPDATE erasure SET generation = generation + 1

-- name: standings
SELECT mark, erased_at, readmitted_at FROM erased

-- name: note_erased
INSERT INTO erased AS held (mark, erased_at) VALUES (%(mark)s, %(at)s)
ON CONFLICT (mark) DO UPDATE SET erased_at = excluded.erased_at, readmitted_at = NULL
WHERE held.erased_at < excluded.erased_at

-- name: note_readmitted
-- Of an erasure that is known, and is the earlier one.
UPDATE erased SET readmitted_at = %(at)s WHERE mark = %(mark)s AND erased_at < %(at)s

-- name: dwelling
SELECT id, consent FROM dwelling WHERE pseudonym = %s

-- name: pseudonyms
SELECT pseudonym FROM dwelling

-- name: sensors
SELECT id FROM sensor WHERE dwelling_id = %s

-- name: remove_alone
SELECT pg_advisory_lock(hashtextextended('arceaux.retention', 0))

-- name: remove_no_longer
SELECT pg_advisory_unlock(hashtextextended('arceaux.retention', 0))

-- name: withdraw
UPDATE dwelling SET consent = false WHERE pseudonym = %s AND consent

-- name: take_your_time
SET LOCAL statement_timeout = 0;
SET LOCAL lock_timeout = 0

-- name: no_decompression_limit
SET LOCAL timescaledb.max_tuples_decompressed_per_dml_transaction = 0

-- name: span
SELECT min({time}), max({time}) FROM {table}

-- name: delete_span
DELETE FROM {table} WHERE sensor_id = ANY(%s) AND {time} >= %s AND {time} < %s

-- name: delete
DELETE FROM {table} WHERE {key} = ANY(%s)

-- name: forget_marks
UPDATE touched_minute
SET sensors = ARRAY(SELECT sensor FROM unnest(sensors) AS sensor WHERE sensor <> ALL(%(sensors)s::integer[]))
WHERE sensors && %(sensors)s::integer[]

-- name: become_nobody
-- Below 0 is nobody; each of a month another one, so that the group keeps its size.
UPDATE pooled_member AS member
SET dwelling_id = (SELECT least(min(dwelling_id), 0) - 1 FROM pooled_member WHERE month = member.month)
WHERE dwelling_id = %s

-- name: record
INSERT INTO removal (table_name, rows, cause) VALUES (%s, %s, 'erasure')

-- name: letters_end
SELECT max(id) FROM (SELECT id FROM dead_letter WHERE id > %s ORDER BY id LIMIT %s) AS portion

-- name: delete_letters
DELETE FROM dead_letter
WHERE id > %(after)s AND id <= %(end)s
  AND (strpos(topic, %(home)s) > 0 OR strpos(detail, %(home)s) > 0 OR strpos(replay_detail, %(home)s) > 0
       OR position(convert_to(%(home)s, 'UTF8') IN payload) > 0)
RETURNING seen

-- name: columns
-- Of all tables; chunks are read through theirs. Numbers, times and truths of other names can hold no home.
SELECT relname::text, attname::text,
       CASE WHEN typcategory = 'N' THEN attname::text WHEN attname = 'sensors' THEN 'sensor_id' END,
       typcategory = 'A'
FROM pg_class
JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
JOIN pg_type ON pg_type.oid = atttypid
WHERE relnamespace = 'arceaux'::regnamespace AND relkind IN ('r', 'p')
  AND (typcategory NOT IN ('N', 'D', 'T', 'B') OR attname IN ('sensor_id', 'dwelling_id'))
ORDER BY relname, attnum
