//! The scheduler as a supervised actor.
pub(super) fn child(_: &super::Service) -> crate::supervision::ChildSpec { todo!() }
