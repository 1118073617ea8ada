//! The seam between engines and worlds: time, flows, the node contract, the timer queue, taps and seeded entropy.
