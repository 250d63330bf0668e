-- Which mailbox the offsets in loader_progress are of: in another one they mean nothing, and the loader begins anew.
CREATE TABLE mailbox_identity (
    one                    INT PRIMARY KEY CHECK (one = 1),
    identity               TEXT NOT NULL
);
