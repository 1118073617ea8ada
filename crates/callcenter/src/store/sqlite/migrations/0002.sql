-- What an agent in a call or wrap-up wants to be afterwards: not ready, with this reason; NULL: ready.
ALTER TABLE agents ADD COLUMN afterwards TEXT CHECK (afterwards IN ('login', 'manual', 'no_answer', 'rejected'));
ALTER TABLE agents ADD COLUMN afterwards_note TEXT;
