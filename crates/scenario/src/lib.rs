//! Tests without a language: worlds, phones, steps, assertions, waiting, HTTP, mock servers, suites.
