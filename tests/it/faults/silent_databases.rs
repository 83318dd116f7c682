//! Databases that are away, frozen, or behind a middle box that swallows bytes.
