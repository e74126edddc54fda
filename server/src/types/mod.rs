//! Value types as plain data structures.
