//! Faults made for real: what a broken log, disk, database, client or clock does to a serving process, and what it does not.

mod backups;
mod clocks;
mod logs;
mod silent_databases;
mod slow_clients;
