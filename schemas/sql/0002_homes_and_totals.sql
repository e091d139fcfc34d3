-- The dwellings: pseudonyms only. The plain id of a home is nowhere in the database.

CREATE TABLE dwelling (
    id        integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pseudonym text NOT NULL UNIQUE,
    district  text NOT NULL,
    consent   boolean NOT NULL
);
COMMENT ON COLUMN dwelling.pseudonym IS 'HMAC-SHA-256 of the id; the key is kept outside the database';

CREATE TABLE sensor (
    id          integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    dwelling_id integer NOT NULL REFERENCES dwelling,
    name        text NOT NULL,
    kind        text NOT NULL,
    unit        text NOT NULL,
    UNIQUE (dwelling_id, name, unit)
);
COMMENT ON COLUMN sensor.unit IS 'of its readings as stored; empty = never told. One name with two dimensions is two sensors';

CREATE TABLE dwelling_reading (
    time      timestamptz NOT NULL,
    sensor_id integer NOT NULL,
    value     double precision NOT NULL,
    PRIMARY KEY (time, sensor_id, value)
);

-- The red button. A reading that arrives in a pause, or whose time lies in one, is refused.
CREATE TABLE pause (
    dwelling_id integer NOT NULL REFERENCES dwelling,
    began_at    timestamptz NOT NULL,
    ended_at    timestamptz,
    PRIMARY KEY (dwelling_id, began_at)
);
COMMENT ON COLUMN pause.ended_at IS 'null = still on: only an explicit off ends a pause';

-- A car park whose counter tells now one total, now another, is flagged for a day.
ALTER TABLE count_state ADD COLUMN other_total_at timestamptz;
COMMENT ON COLUMN count_state.other_total_at IS 'newest time at which a total other than `total` was told';
