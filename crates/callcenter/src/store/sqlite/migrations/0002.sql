-- What an agent in a call or wrap-up wants to be afterwards: not ready, with this reason; NULL: ready.
ALTER TABLE agents ADD COLUMN afterwards TEXT CHECK (afterwards = 'login' OR afterwards = 'manual' OR afterwards = 'no_answer'
                                            OR afterwards = 'rejected');
ALTER TABLE agents ADD COLUMN afterwards_note TEXT;
