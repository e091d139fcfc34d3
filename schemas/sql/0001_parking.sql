-- The parking domain, the outbox of live figures, dead letters and the ledger.
-- Key columns are NOT NULL and raw keys lead with time: rows land at the right edge of one index
-- (docs/decisions/0002-key-leads-with-time.md).

CREATE TABLE car_park (
    id        integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code      text NOT NULL UNIQUE,
    name      text NOT NULL,
    zone      text NOT NULL,
    capacity  integer NOT NULL,
    latitude  double precision,
    longitude double precision,
    basis     text NOT NULL CHECK (basis IN ('spots', 'count'))
);

CREATE TABLE spot (
    id          integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    car_park_id integer NOT NULL REFERENCES car_park,
    label       text NOT NULL,
    kind        text NOT NULL,
    UNIQUE (car_park_id, label)
);

-- Raw readings. No foreign keys: ids come from the two tables above, and a check a row would cost more than the row.
CREATE TABLE parking_event (
    time       timestamptz NOT NULL,
    spot_id    integer NOT NULL,
    occupied   boolean NOT NULL,
    arrived_at timestamptz NOT NULL,
    PRIMARY KEY (time, spot_id, occupied)
);

CREATE TABLE parking_count (
    time        timestamptz NOT NULL,
    car_park_id integer NOT NULL,
    free        integer NOT NULL,
    total       integer NOT NULL,
    status      text NOT NULL,
    arrived_at  timestamptz NOT NULL,
    PRIMARY KEY (time, car_park_id, free, total, status)
);
COMMENT ON COLUMN parking_count.total IS '0 = not told';
COMMENT ON COLUMN parking_count.status IS 'empty = not told';

-- The newest state by event time. Rows are updated in place over and over: room on the page keeps that cheap.
CREATE TABLE spot_state (
    spot_id     integer PRIMARY KEY REFERENCES spot,
    occupied    boolean NOT NULL,
    since       timestamptz NOT NULL,
    observed_at timestamptz NOT NULL,
    battery     double precision,
    last_seq    integer
) WITH (fillfactor = 50);

CREATE TABLE count_state (
    car_park_id integer PRIMARY KEY REFERENCES car_park,
    free        integer,
    free_at     timestamptz,
    total       integer,
    total_at    timestamptz,
    status      text,
    status_at   timestamptz
) WITH (fillfactor = 50);

-- The outbox: what ought to be retained at the broker.
CREATE SEQUENCE revision;

CREATE TABLE availability (
    car_park_id integer PRIMARY KEY REFERENCES car_park,
    free        integer NOT NULL,
    occupied    integer NOT NULL,
    unknown     integer NOT NULL,
    capacity    integer NOT NULL,
    status      text NOT NULL,
    stale       boolean NOT NULL,
    quality     text[] NOT NULL,
    observed_at timestamptz,
    arrived_at  timestamptz,
    revision    bigint NOT NULL,
    CHECK (free >= 0 AND occupied >= 0 AND unknown >= 0 AND free + occupied + unknown = capacity)
) WITH (fillfactor = 50);
COMMENT ON COLUMN availability.arrived_at IS 'arrival of the reading that last changed it; null where time alone did';

-- Sums of 32-bit figures need more than 32 bits.
CREATE TABLE city_availability (
    singleton   boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    car_parks   integer NOT NULL,
    capacity    bigint NOT NULL,
    free        bigint NOT NULL,
    occupied    bigint NOT NULL,
    unknown     bigint NOT NULL,
    observed_at timestamptz,
    revision    bigint NOT NULL
) WITH (fillfactor = 50);

-- What the broker has acknowledged; apart from the outbox, so that publishing never locks a batch's rows.
CREATE TABLE publication (
    topic        text PRIMARY KEY,
    revision     bigint NOT NULL,
    published_at timestamptz NOT NULL
);

CREATE TABLE availability_history (
    time        timestamptz NOT NULL,
    car_park_id integer NOT NULL,
    free        integer NOT NULL,
    occupied    integer NOT NULL,
    unknown     integer NOT NULL,
    capacity    integer NOT NULL,
    status      text NOT NULL,
    revision    bigint NOT NULL,
    PRIMARY KEY (time, car_park_id, revision)
);

CREATE TABLE dead_letter (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at  timestamptz NOT NULL,
    topic        text NOT NULL,
    payload      bytea,
    size         integer NOT NULL,
    digest       bytea NOT NULL UNIQUE,
    reason       text NOT NULL,
    detail       text NOT NULL,
    seen         bigint NOT NULL DEFAULT 1,
    repeats      bigint NOT NULL DEFAULT 0,
    last_seen_at timestamptz NOT NULL,
    replayed_at  timestamptz
);
COMMENT ON COLUMN dead_letter.digest IS 'SHA-256 of topic, a zero byte and the whole payload';
COMMENT ON COLUMN dead_letter.seen IS 'readings this row stands for';

CREATE TABLE ledger (
    minute        timestamptz NOT NULL,
    worker        text NOT NULL,
    route         text NOT NULL,
    messages      bigint NOT NULL,
    readings      bigint NOT NULL,
    stored        bigint NOT NULL,
    duplicate     bigint NOT NULL,
    dead_lettered bigint NOT NULL,
    refused       bigint NOT NULL,
    PRIMARY KEY (minute, worker, route),
    CHECK (readings = stored + duplicate + dead_lettered + refused)
) WITH (fillfactor = 50);

CREATE TABLE removal (
    at         timestamptz NOT NULL DEFAULT now(),
    table_name text NOT NULL,
    rows       bigint NOT NULL,
    cause      text NOT NULL
);

CREATE TABLE worker (
    name         text PRIMARY KEY,
    lease        bigint NOT NULL,
    batch        bigint NOT NULL,
    committed_at timestamptz,
    filters      text[] NOT NULL DEFAULT '{}'
);
COMMENT ON COLUMN worker.filters IS 'topic filters of its session at the broker, so that old ones can be unsubscribed';
