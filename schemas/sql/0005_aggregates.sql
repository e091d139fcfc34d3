-- Homes by minute, hour and day, rolled from the raw readings (docs/database.md tells the definitions).
-- Their keys lead with the sensor: one sensor's history is one range. The second index is for removal by age.

CREATE TABLE dwelling_minute (
    bucket             timestamptz NOT NULL,
    sensor_id          integer NOT NULL,
    n                  integer NOT NULL,
    mean               double precision NOT NULL,
    stddev             double precision,
    minimum            double precision NOT NULL,
    maximum            double precision NOT NULL,
    first              double precision NOT NULL,
    last               double precision NOT NULL,
    time_weighted_mean double precision NOT NULL,
    increase           double precision NOT NULL,
    first_at           timestamptz NOT NULL,
    last_at            timestamptz NOT NULL,
    PRIMARY KEY (sensor_id, bucket)
);
CREATE INDEX dwelling_minute_bucket ON dwelling_minute (bucket);

-- These two are rolled again with every minute of theirs: room on the page keeps that cheap.
CREATE TABLE dwelling_hour (
    bucket             timestamptz NOT NULL,
    sensor_id          integer NOT NULL,
    n                  integer NOT NULL,
    mean               double precision NOT NULL,
    stddev             double precision,
    minimum            double precision NOT NULL,
    maximum            double precision NOT NULL,
    first              double precision NOT NULL,
    last               double precision NOT NULL,
    time_weighted_mean double precision NOT NULL,
    increase           double precision NOT NULL,
    first_at           timestamptz NOT NULL,
    last_at            timestamptz NOT NULL,
    PRIMARY KEY (sensor_id, bucket)
) WITH (fillfactor = 50);
CREATE INDEX dwelling_hour_bucket ON dwelling_hour (bucket);

CREATE TABLE dwelling_day (
    bucket             timestamptz NOT NULL,
    sensor_id          integer NOT NULL,
    n                  integer NOT NULL,
    mean               double precision NOT NULL,
    stddev             double precision,
    minimum            double precision NOT NULL,
    maximum            double precision NOT NULL,
    first              double precision NOT NULL,
    last               double precision NOT NULL,
    time_weighted_mean double precision NOT NULL,
    increase           double precision NOT NULL,
    first_at           timestamptz NOT NULL,
    last_at            timestamptz NOT NULL,
    PRIMARY KEY (sensor_id, bucket)
) WITH (fillfactor = 50);
CREATE INDEX dwelling_day_bucket ON dwelling_day (bucket);

-- What is to be rolled: each batch appends the minutes that its readings lie in. Nothing is unique but the id:
-- batches never wait for each other here, and a mark made twice is rolled once.
CREATE TABLE touched_minute (
    id        bigserial,
    minute    timestamptz NOT NULL,
    sensors   integer[] NOT NULL,
    marked_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (minute, id)
);
-- Ids do not compress, and trying takes longer than writing them.
ALTER TABLE touched_minute ALTER COLUMN sensors SET STORAGE EXTERNAL;
COMMENT ON COLUMN touched_minute.sensors IS 'of each reading in this minute the id of its sensor';

-- From when on nothing was removed by age. What lies before must not be rolled again, from what is left of it.
CREATE TABLE retained (
    table_name text PRIMARY KEY,
    since      timestamptz NOT NULL
);
COMMENT ON COLUMN retained.since IS 'retention has removed, or is removing, what is older';
-- Rows from the start: the roller locks them.
INSERT INTO retained (table_name, since)
SELECT name, '-infinity' FROM unnest(ARRAY['dwelling_reading', 'dwelling_minute', 'dwelling_hour', 'dwelling_day']) name;

-- What is held already is rolled, too.
INSERT INTO touched_minute (minute, sensors)
SELECT date_trunc('minute', time), array_agg(sensor_id) FROM dwelling_reading GROUP BY 1;
