//! Backup, restore, and starts on files that do not belong together.
