//! Permissions as a set. Which bit is which permission is told by the configured catalogue.

use std::ops::{BitAnd, BitOr, BitOrAssign, Not};

/// The catalogue may hold this many permissions.
pub const MOST_PERMISSIONS: usize = 128;

/// A permission's place in the catalogue, below [`MOST_PERMISSIONS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permission(pub(crate) u8);

/// A set of permissions of one catalogue. `&` is how rights are made: never by adding, always by intersecting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PermissionSet(u128);

impl PermissionSet {
    pub const NONE: Self = Self(0);
    pub const ALL: Self = Self(u128::MAX);

    pub fn of(permission: Permission) -> Self {
        Self(1 << permission.0)
    }

    pub fn contains(self, permission: Permission) -> bool {
        self.0 & (1 << permission.0) != 0
    }

    pub fn is_subset_of(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Whether `held` holds what this set asks for; nobody holds what asks for nothing.
    pub fn is_held_in(self, held: Self) -> bool {
        !self.is_empty() && self.is_subset_of(held)
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn iter(self) -> impl Iterator<Item = Permission> {
        (0..MOST_PERMISSIONS as u8)
            .map(Permission)
            .filter(move |permission| self.contains(*permission))
    }
}

impl BitAnd for PermissionSet {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitOr for PermissionSet {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for PermissionSet {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl Not for PermissionSet {
    type Output = Self;

    fn not(self) -> Self {
        Self(!self.0)
    }
}

impl FromIterator<Permission> for PermissionSet {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        permissions
            .into_iter()
            .fold(Self::NONE, |set, permission| set | Self::of(permission))
    }
}
