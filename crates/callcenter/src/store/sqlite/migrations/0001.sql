-- Times are nanoseconds since 1970-01-01T00:00:00Z, spans are nanoseconds. Lists of words are written with OR: for an IN of three or
-- more SQLite builds a table in memory, at every write.

-- Who may register besides the users of the configuration: H(name:domain:password) for each algorithm, never the password.
CREATE TABLE users (
    name        TEXT PRIMARY KEY CHECK (name <> ''),
    domain      TEXT NOT NULL,
    ha1_sha256  TEXT CHECK (length(ha1_sha256) = 64),
    ha1_md5     TEXT CHECK (length(ha1_md5) = 32),
    agent       INTEGER NOT NULL CHECK (agent IN (0, 1)),
    changed_at  INTEGER NOT NULL,
    CHECK (ha1_sha256 IS NOT NULL OR ha1_md5 IS NOT NULL)
) STRICT;

CREATE TABLE agents (
    name        TEXT PRIMARY KEY CHECK (name <> ''),
    state       TEXT NOT NULL CHECK (state = 'logged_out' OR state = 'not_ready' OR state = 'ready' OR state = 'reserved'
                                       OR state = 'talking' OR state = 'wrap_up'),
    reason      TEXT CHECK (reason = 'login' OR reason = 'manual' OR reason = 'no_answer' OR reason = 'rejected'),
    note        TEXT,
    until       INTEGER,
    changed_at  INTEGER NOT NULL,
    CHECK ((state = 'not_ready') = (reason IS NOT NULL)),
    CHECK ((state = 'wrap_up') = (until IS NOT NULL))
) STRICT;

CREATE TABLE agent_skills (
    agent       TEXT NOT NULL REFERENCES agents (name) ON DELETE CASCADE,
    skill       TEXT NOT NULL,
    level       INTEGER NOT NULL CHECK (level >= 0),
    PRIMARY KEY (agent, skill)
) STRICT, WITHOUT ROWID;

CREATE TABLE queues (
    name              TEXT PRIMARY KEY CHECK (name <> ''),
    strategy          TEXT NOT NULL,
    service_level     INTEGER NOT NULL CHECK (service_level >= 0)
) STRICT;

CREATE TABLE queue_members (
    queue       TEXT NOT NULL REFERENCES queues (name) ON DELETE CASCADE,
    agent       TEXT NOT NULL REFERENCES agents (name) ON DELETE CASCADE,
    position    INTEGER NOT NULL,
    PRIMARY KEY (queue, agent)
) STRICT, WITHOUT ROWID;

CREATE TABLE bindings (
    user          TEXT NOT NULL,
    position      INTEGER NOT NULL,
    contact       TEXT NOT NULL,
    q_thousandths INTEGER NOT NULL CHECK (q_thousandths BETWEEN 0 AND 1000),
    expires_at    INTEGER NOT NULL,
    path          TEXT NOT NULL,
    transport     TEXT NOT NULL CHECK (transport = 'UDP' OR transport = 'TCP' OR transport = 'TLS'),
    local         TEXT NOT NULL,
    remote        TEXT NOT NULL,
    call_id       TEXT NOT NULL,
    cseq          INTEGER NOT NULL,
    instance      TEXT,
    reg_id        INTEGER,
    PRIMARY KEY (user, position),
    CHECK ((instance IS NULL) = (reg_id IS NULL))
) STRICT, WITHOUT ROWID;

-- One row for each call that was let in; it follows from call_events alone.
CREATE TABLE calls (
    number        INTEGER PRIMARY KEY,
    caller        TEXT,
    dialled       TEXT,
    queue         TEXT,
    agent         TEXT,
    callee        TEXT,
    arrived_at    INTEGER NOT NULL,
    answered_at   INTEGER CHECK (answered_at >= arrived_at),
    ended_at      INTEGER CHECK (ended_at >= arrived_at),
    cause         TEXT,
    presentations INTEGER NOT NULL CHECK (presentations >= 0),
    transfers     INTEGER NOT NULL CHECK (transfers >= 0),
    wait          INTEGER CHECK (wait >= 0),
    ring          INTEGER CHECK (ring >= 0),
    talk          INTEGER CHECK (talk >= 0),
    agent_talk    INTEGER CHECK (agent_talk >= 0),
    wrap          INTEGER CHECK (wrap >= 0),
    -- 0 as long as something is to come: its end, or that of its wrap-up.
    settled       INTEGER NOT NULL CHECK (settled IN (0, 1)),
    CHECK ((ended_at IS NULL) = (cause IS NULL)),
    CHECK (settled = 0 OR ended_at IS NOT NULL)
) STRICT;

CREATE INDEX calls_arrived_at ON calls (arrived_at);
CREATE INDEX calls_unsettled ON calls (number) WHERE settled = 0;

CREATE TABLE call_events (
    seq         INTEGER PRIMARY KEY,
    at          INTEGER NOT NULL,
    kind        TEXT NOT NULL CHECK (kind = 'queued' OR kind = 'presented' OR kind = 'presentation_ended'
                                     OR kind = 'agent_changed' OR kind = 'answered' OR kind = 'overflowed' OR kind = 'transferred'
                                     OR kind = 'recording_started' OR kind = 'recording_ended' OR kind = 'ended'),
    call        INTEGER REFERENCES calls (number) DEFERRABLE INITIALLY DEFERRED,
    queue       TEXT,
    agent       TEXT,
    party       TEXT,
    target      TEXT,
    outcome     TEXT,
    reason      TEXT,
    number      INTEGER,
    CHECK ((kind = 'agent_changed') = (call IS NULL))
) STRICT;

CREATE INDEX call_events_call ON call_events (call) WHERE call IS NOT NULL;
CREATE INDEX call_events_at ON call_events (at);
-- Every call ends once.
CREATE UNIQUE INDEX call_events_ended ON call_events (call) WHERE kind = 'ended';

CREATE TABLE recordings (
    call        INTEGER NOT NULL REFERENCES calls (number) DEFERRABLE INITIALLY DEFERRED,
    file        TEXT NOT NULL,
    started_at  INTEGER NOT NULL,
    ended_at    INTEGER,
    samples     INTEGER CHECK (samples >= 0),
    PRIMARY KEY (call, file)
) STRICT, WITHOUT ROWID;

-- For people: dates instead of numbers, seconds instead of nanoseconds.
CREATE VIEW call_records AS
SELECT number, caller, dialled, queue, agent, callee,
       strftime('%Y-%m-%dT%H:%M:%fZ', arrived_at / 1e9, 'unixepoch') AS arrived,
       strftime('%Y-%m-%dT%H:%M:%fZ', answered_at / 1e9, 'unixepoch') AS answered,
       strftime('%Y-%m-%dT%H:%M:%fZ', ended_at / 1e9, 'unixepoch') AS ended,
       cause, presentations, transfers,
       round(wait / 1e9, 3) AS wait_s, round(ring / 1e9, 3) AS ring_s, round(talk / 1e9, 3) AS talk_s,
       round(wrap / 1e9, 3) AS wrap_s
FROM calls;
