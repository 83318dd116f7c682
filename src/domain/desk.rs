//! What a use case gets: the transaction, the settings, and who asks about which organization.
//!
//! A use case of the vendor's that is about no organization, or finds one itself, gets a [`VendorDesk`].

use super::rights::asker::Asker;
use super::rights::rights::{self, BEYOND, MISSING, Places, Rights};
use super::settings::Settings;
use super::words::{Refusal, ensure};
use crate::store::{Error, Snapshot, Tx};
use crate::types::event::Event;
use crate::types::id::{OrganizationId, UserId, WorkspaceId};
use crate::types::permission::PermissionSet;
use crate::types::right::Right;
use crate::types::time::Timestamp;

/// For a use case that changes something: one transaction at one instant.
pub struct Desk<'d, 'c> {
    pub tx: &'d mut Tx<'c>,
    pub settings: &'d Settings,
    pub organization: OrganizationId,
    pub asker: &'d Asker,
}

/// For one that only asks: one snapshot.
pub struct View<'d, 'c> {
    pub snapshot: &'d mut Snapshot<'c>,
    pub settings: &'d Settings,
    pub organization: OrganizationId,
    pub asker: &'d Asker,
    pub now: Timestamp,
}

impl<'c> Desk<'_, 'c> {
    /// For the rules that only ask.
    pub fn view(&mut self) -> View<'_, 'c> {
        View {
            now: self.tx.now,
            snapshot: self.tx,
            settings: self.settings,
            organization: self.organization,
            asker: self.asker,
        }
    }

    /// For the rules of the vendor's that are about no organization.
    pub fn vendor(&mut self) -> VendorDesk<'_, 'c> {
        VendorDesk {
            tx: self.tx,
            settings: self.settings,
            asker: self.asker,
        }
    }

    pub fn now(&self) -> Timestamp {
        self.tx.now
    }

    pub fn rights(&mut self) -> Result<Rights, Refusal> {
        self.view().rights()
    }

    /// What the asker holds themselves, whatever their credential lets through: nobody grants more.
    pub fn own_rights(&mut self) -> Result<Rights, Refusal> {
        self.view().own_rights()
    }

    /// Refuses an asker without the right in the organization itself.
    pub fn ensure(&mut self, needed: Right) -> Result<(), Refusal> {
        self.view().ensure(needed)
    }

    /// The same in one workspace.
    pub fn ensure_in(&mut self, workspace: WorkspaceId, needed: Right) -> Result<(), Refusal> {
        self.view().ensure_in(workspace, needed)
    }

    /// Refuses a grant of more than the asker holds.
    pub fn ensure_holds(&mut self, granted: &Rights) -> Result<(), Refusal> {
        self.view().ensure_holds(granted)
    }

    /// Changes the user's membership by `change`, and refuses it where the user then holds something new that the asker does not
    /// hold there. A refusal rolls the transaction back.
    pub fn ensure_no_more<T>(
        &mut self,
        user: UserId,
        change: impl FnOnce(&mut Self) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let granting = self.own_rights()?;
        let before = self.rights_of(user)?;
        let changed = change(self)?;
        let after = self.rights_of(user)?;
        ensure(
            after.gains_only_what(&before, &granting),
            Refusal::Forbidden(BEYOND),
        )?;
        Ok(changed)
    }

    /// What the user's membership gives while nothing is suspended.
    pub fn rights_of(&mut self, user: UserId) -> Result<Rights, Error> {
        let (catalogue, now) = (&self.settings.catalogue, self.now());
        rights::of_user(self.tx, catalogue, self.organization, user, now)
    }

    /// Records what the asker did to `subject` in this organization, now.
    pub fn record(&mut self, event: Event, subject: &str, detail: &str) -> Result<(), Error> {
        self.tx.record(
            Some(self.organization),
            Some(self.asker.user),
            event,
            subject,
            detail,
        )
    }
}

impl<'c> View<'_, 'c> {
    pub fn rights(&mut self) -> Result<Rights, Refusal> {
        rights::of(
            self.snapshot,
            &self.settings.catalogue,
            self.asker,
            self.organization,
            self.now,
        )
    }

    /// What the asker holds themselves, whatever their credential lets through: nobody grants more.
    pub fn own_rights(&mut self) -> Result<Rights, Refusal> {
        rights::of(
            self.snapshot,
            &self.settings.catalogue,
            &self.asker.themselves(),
            self.organization,
            self.now,
        )
    }

    /// Refuses an asker without the right in the organization itself.
    pub fn ensure(&mut self, needed: Right) -> Result<(), Refusal> {
        let held = self.rights()?.organization;
        let holds = self.settings.catalogue.right(needed).is_held_in(held);
        ensure(holds, Refusal::Forbidden(MISSING))
    }

    /// The same in one workspace.
    pub fn ensure_in(&mut self, workspace: WorkspaceId, needed: Right) -> Result<(), Refusal> {
        let held = self.rights()?.in_workspace(workspace);
        let holds = self.settings.catalogue.right(needed).is_held_in(held);
        ensure(holds, Refusal::Forbidden(MISSING))
    }

    /// Refuses a grant of more than the asker holds.
    pub fn ensure_holds(&mut self, granted: &Rights) -> Result<(), Refusal> {
        ensure(
            granted.is_within(&self.own_rights()?),
            Refusal::Forbidden(BEYOND),
        )
    }

    /// The same snapshot, with somebody else asking.
    pub fn by<'v>(&'v mut self, asker: &'v Asker) -> View<'v, 'c> {
        View {
            snapshot: self.snapshot,
            settings: self.settings,
            organization: self.organization,
            asker,
            now: self.now,
        }
    }

    /// Where the asker holds the right.
    pub fn places_of(&mut self, right: Right) -> Result<Places, Refusal> {
        Ok(self.rights()?.places_of(&self.settings.catalogue, right))
    }

    /// The same; refuses an asker who holds it nowhere.
    pub fn some_places_of(&mut self, right: Right) -> Result<Places, Refusal> {
        let places = self.places_of(right)?;
        ensure(!places.is_nowhere(), Refusal::Forbidden(MISSING))?;
        Ok(places)
    }
}

/// For a change by the vendor.
pub struct VendorDesk<'d, 'c> {
    pub tx: &'d mut Tx<'c>,
    pub settings: &'d Settings,
    pub asker: &'d Asker,
}

/// For a question by the vendor.
pub struct VendorView<'d, 'c> {
    pub snapshot: &'d mut Snapshot<'c>,
    pub settings: &'d Settings,
    pub asker: &'d Asker,
}

impl<'c> VendorDesk<'_, 'c> {
    /// The same about one organization.
    pub fn at(&mut self, organization: OrganizationId) -> Desk<'_, 'c> {
        Desk {
            tx: self.tx,
            settings: self.settings,
            organization,
            asker: self.asker,
        }
    }

    /// Refuses whoever does not hold the right for the vendor.
    pub fn ensure(&mut self, needed: Right) -> Result<(), Refusal> {
        rights::ensure_vendor(self.tx, &self.settings.catalogue, self.asker, needed)
    }

    /// The same, for a rule that knows operators only: a program that holds the right does there what an operator does.
    pub fn as_operator(&mut self, needed: Right) -> Result<Asker, Refusal> {
        self.ensure(needed)?;
        Ok(Asker::operator(self.asker.user))
    }

    /// Refuses a grant of more than the asker holds for the vendor.
    pub fn ensure_holds(&mut self, granted: PermissionSet) -> Result<(), Refusal> {
        let held = self.asker.operator_permissions(&self.settings.catalogue);
        ensure(
            held.is_some_and(|held| granted.is_subset_of(held)),
            Refusal::Forbidden(BEYOND),
        )
    }

    /// Records what the asker did to `subject`, which belongs to no organization.
    pub fn record(&mut self, event: Event, subject: &str, detail: &str) -> Result<(), Error> {
        self.tx
            .record(None, Some(self.asker.user), event, subject, detail)
    }
}

impl VendorView<'_, '_> {
    /// Refuses whoever does not hold the right for the vendor.
    pub fn ensure(&mut self, needed: Right) -> Result<(), Refusal> {
        rights::ensure_vendor(self.snapshot, &self.settings.catalogue, self.asker, needed)
    }

    /// The same, for a rule that knows operators only.
    pub fn as_operator(&mut self, needed: Right) -> Result<Asker, Refusal> {
        self.ensure(needed)?;
        Ok(Asker::operator(self.asker.user))
    }
}
