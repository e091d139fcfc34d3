-- What devices told last that tell all they know in every message: a repeat without a time is no new measurement.

CREATE TABLE last_told (
    sensor_id integer PRIMARY KEY,
    value     double precision NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE last_told IS 'of zigbee2mqtt; whoever erases a sensor erases its row here';
