-- name: held
SELECT digest FROM dead_letter WHERE digest = ANY(%s)

-- name: upsert_dead_letters
INSERT INTO dead_letter AS held (received_at, topic, payload, size, digest, reason, detail, repeats, last_seen_at)
SELECT * FROM unnest(%s::timestamptz[], %s::text[], %s::bytea[], %s::integer[], %s::bytea[], %s::text[], %s::text[],
                     %s::bigint[], %s::timestamptz[])
ON CONFLICT (digest) DO UPDATE SET
    repeats = held.repeats + excluded.repeats + 1,
    last_seen_at = greatest(held.last_seen_at, excluded.last_seen_at)
RETURNING digest, xmax = 0

-- name: add_to_summaries
INSERT INTO dead_letter AS held (received_at, topic, size, digest, reason, detail, seen, last_seen_at)
SELECT * FROM unnest(%s::timestamptz[], %s::text[], %s::integer[], %s::bytea[], %s::text[], %s::text[], %s::bigint[],
                     %s::timestamptz[])
ON CONFLICT (digest) DO UPDATE SET
    seen = held.seen + excluded.seen, last_seen_at = greatest(held.last_seen_at, excluded.last_seen_at)

-- name: requested
SELECT id, received_at, topic, payload FROM dead_letter WHERE replay_requested_at IS NOT NULL ORDER BY id LIMIT %s

-- name: mark_replayed
UPDATE dead_letter AS held SET
    replay_requested_at = NULL, replay_detail = mark.detail,
    replayed_at = CASE WHEN mark.is_replayed THEN clock_timestamp() ELSE held.replayed_at END
FROM unnest(%(ids)s::bigint[], %(are_replayed)s::boolean[], %(details)s::text[]) AS mark (id, is_replayed, detail)
WHERE held.id = mark.id

-- name: list
SELECT id, received_at, last_seen_at, reason, topic, detail, size, seen, repeats, payload IS NOT NULL AS has_payload,
       replayed_at
FROM dead_letter
WHERE {wanted}
ORDER BY received_at DESC, id DESC
LIMIT %(limit)s

-- name: count
SELECT reason, count(*) AS rows, sum(seen)::bigint AS readings
FROM dead_letter
WHERE {wanted}
GROUP BY reason ORDER BY reason

-- name: wanted
(%(ids)s::bigint[] IS NULL OR id = ANY(%(ids)s))
AND (%(reason)s::text IS NULL OR reason = %(reason)s)
AND (%(topic)s::text IS NULL OR topic ~ %(topic)s)
AND (%(since)s::timestamptz IS NULL OR received_at >= %(since)s)
AND (%(before)s::timestamptz IS NULL OR received_at < %(before)s)

-- name: show
SELECT id, received_at, last_seen_at, reason, topic, detail, payload, size, seen, repeats, replayed_at,
       replay_requested_at, replay_detail
FROM dead_letter WHERE id = %s

-- name: clock
SELECT now()

-- name: request
-- A letter that was asked for before keeps its place: whoever asked waits for it, too.
UPDATE dead_letter SET replay_requested_at = coalesce(replay_requested_at, %(now)s)
WHERE id IN (
    SELECT id FROM dead_letter
    WHERE id > %(after)s AND {wanted} AND {whole} AND (%(ids)s::bigint[] IS NOT NULL OR replayed_at IS NULL)
    ORDER BY id LIMIT %(portion)s
)
RETURNING id

-- name: count_cut
SELECT count(*) FROM dead_letter WHERE {wanted} AND replayed_at IS NULL AND NOT {whole}

-- name: whole
(payload IS NOT NULL AND octet_length(payload) < %(most)s)

-- name: waiting
SELECT count(*) FROM dead_letter WHERE replay_requested_at <= %s

-- name: outcome
SELECT replayed_at >= %(now)s AS is_replayed, split_part(replay_detail, ': ', 1) AS outcome, count(*) AS letters,
       min(replay_detail) AS example
FROM dead_letter WHERE id = ANY(%(ids)s) GROUP BY 1, 2 ORDER BY 3 DESC, 2

-- name: try_writing
SELECT pg_try_advisory_xact_lock(hashtextextended('arceaux.writer', 0))
