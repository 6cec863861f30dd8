//! Guards: what must hold for everything there is, so that a newcomer cannot forget it.

mod bypass_list;
mod calls_between_services;
mod domain_does_no_io;
mod every_rpc_has_its_callers;
mod facts_are_noted;
mod schemas_agree;
