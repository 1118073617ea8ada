//! Bytes to session descriptions and back, and what an offer or an answer says.
