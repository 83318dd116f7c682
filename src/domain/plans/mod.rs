//! What is sold: plans, access to Production, the switch of the Dev Centre, seats.

pub mod dev_centre;
pub mod open;
pub mod plans;
pub mod production;
pub mod seats;
