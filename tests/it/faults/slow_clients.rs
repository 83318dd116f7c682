//! Clients that send slowly, do not read, or open many connections.
