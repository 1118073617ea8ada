//! SIP transactions, dialogs, calls, registrations, subscriptions and digest, without IO.
