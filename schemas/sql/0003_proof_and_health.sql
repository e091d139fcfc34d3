-- Replay and retention of dead letters, what is missing upstream, and the health of sensors.

ALTER TABLE dead_letter ADD COLUMN replay_requested_at timestamptz;
ALTER TABLE dead_letter ADD COLUMN replay_detail text;
COMMENT ON COLUMN dead_letter.replay_requested_at IS 'set by `arceaux deadletters replay`; the writer takes such rows up';
COMMENT ON COLUMN dead_letter.replay_detail IS 'what came of the last replay';
CREATE INDEX dead_letter_replay ON dead_letter (id) WHERE replay_requested_at IS NOT NULL;
CREATE INDEX dead_letter_received_at ON dead_letter (received_at);

-- The ledger books replays under one route: which table their readings went to stands here, for the audit.
CREATE TABLE replayed (
    table_name text PRIMARY KEY,
    rows       bigint NOT NULL
);

ALTER TABLE spot_state ADD COLUMN seq_seen bigint NOT NULL DEFAULT -1;
ALTER TABLE spot_state ADD COLUMN missing bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN spot_state.last_seq IS 'the highest sequence number since the sensor last began to count anew';
COMMENT ON COLUMN spot_state.seq_seen IS 'bit n: the number last_seq - n has arrived, or was never to come';
COMMENT ON COLUMN spot_state.missing IS 'sequence numbers that never arrived: lost before they reached us';

ALTER TABLE count_state ADD COLUMN free_since timestamptz;
UPDATE count_state SET free_since = free_at;
COMMENT ON COLUMN count_state.free_since IS 'event time since which `free` has been the same';

-- Sensors of parking that need attention, by name; those of homes are only counted, below.
CREATE TABLE attention (
    asset text PRIMARY KEY,
    state text NOT NULL,
    since timestamptz
);
COMMENT ON COLUMN attention.since IS 'null = never heard';

CREATE TABLE sensor_health (
    domain   text NOT NULL,
    state    text NOT NULL,
    sensors  bigint NOT NULL,
    revision bigint NOT NULL,
    PRIMARY KEY (domain, state)
) WITH (fillfactor = 50);
