//! A user agent: account, registration, calls, hold, transfer, DTMF and audio; commands in, events out.
