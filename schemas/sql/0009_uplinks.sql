-- LoRaWAN: a frame that a network server tells again, at a later time, is the same reading.

ALTER TABLE spot_state ADD COLUMN frame bigint;
COMMENT ON COLUMN spot_state.frame IS 'a hash of session, frame counter and state of the newest uplink; null where none came';
