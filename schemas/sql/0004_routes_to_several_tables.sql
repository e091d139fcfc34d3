-- One route may lead to several tables: an uplink is a bay's or a home's. Takes the place of `replayed`.

CREATE TABLE destination (
    route      text NOT NULL,
    table_name text NOT NULL,
    rows       bigint NOT NULL,
    PRIMARY KEY (route, table_name)
);
INSERT INTO destination SELECT 'replay', table_name, rows FROM replayed;
DROP TABLE replayed;
