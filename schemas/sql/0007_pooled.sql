-- Pooled figures of districts: which homes a month's figures rest on, what was judged, what was published.
-- All but `pooled_member` is public; docs/pooled.md tells the rule.

ALTER TABLE sensor ADD COLUMN pooled boolean NOT NULL DEFAULT true;
COMMENT ON COLUMN sensor.pooled IS 'whether it counts in the figures of its district';

CREATE TABLE pooled_month (
    month    date PRIMARY KEY,
    fixed_at timestamptz NOT NULL
);

-- The key lets a home be in one group a month: no two published figures can rest on overlapping groups.
-- No foreign key to `dwelling`: a home that is erased stays a member, which contributes nothing any more.
CREATE TABLE pooled_member (
    month       date NOT NULL REFERENCES pooled_month,
    dwelling_id integer NOT NULL,
    district    text NOT NULL,
    PRIMARY KEY (month, dwelling_id)
);
CREATE INDEX pooled_member_of_group ON pooled_member (month, district);

-- One row a step and district that was judged, whatever came of it: the key keeps it from being judged twice.
CREATE TABLE pooled_step (
    district   text NOT NULL,
    began_at   timestamptz NOT NULL,
    ended_at   timestamptz NOT NULL,
    suppressed boolean NOT NULL,
    judged_at  timestamptz NOT NULL,
    revision   bigint NOT NULL,
    PRIMARY KEY (district, began_at),
    UNIQUE (district, revision)
);

CREATE TABLE pooled_figure (
    district       text NOT NULL,
    began_at       timestamptz NOT NULL,
    ended_at       timestamptz NOT NULL,
    kind           text NOT NULL,
    unit           text NOT NULL,
    how            text NOT NULL CHECK (how IN ('mean', 'sum')),
    value          double precision NOT NULL,
    group_at_least integer NOT NULL,
    PRIMARY KEY (district, began_at, kind),
    FOREIGN KEY (district, began_at) REFERENCES pooled_step
);
COMMENT ON COLUMN pooled_figure.group_at_least IS 'the least number of homes it may rest on; never how many they are';
