-- Erasure of homes: which were erased, and the number by which whoever writes of homes notices.

CREATE TABLE erasure (
    singleton  boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    generation bigint NOT NULL DEFAULT 0
);
COMMENT ON COLUMN erasure.generation IS 'raised when a home is erased or readmitted: what was read before is outdated';
INSERT INTO erasure DEFAULT VALUES;

-- Kept for ever: a home that was erased is refused until it is readmitted, also after a backup is restored.
CREATE TABLE erased (
    mark          bytea PRIMARY KEY,
    erased_at     timestamptz NOT NULL,
    readmitted_at timestamptz
);
COMMENT ON COLUMN erased.mark IS 'HMAC-SHA-256 of the pseudonym, by a key derived from the pseudonyms'' key';
COMMENT ON COLUMN erased.readmitted_at IS 'null = still refused';
