//! The table of calls: which method needs no token, and which service may call what (K1, K36).
//!
//! The authentication layer enforces exactly this table; guards snapshot it. Rights of principals do not stand here.

use crate::caller::Service;

/// Methods that anybody may call without a token.
pub const PUBLIC: &[&str] = &[
    "/tenure.identity.v1.SignUpService/SignUp",
    "/tenure.identity.v1.SessionService/SignIn",
    "/tenure.identity.v1.SessionService/RefreshSession",
    "/tenure.identity.v1.SessionService/GetJsonWebKeySet",
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// Which service may call which method; a method that a peer calls calls no peer itself (K1).
pub const BETWEEN_SERVICES: &[(Service, &str)] = &[
    (Service::Directory, "/tenure.identity.v1.DirectoryRoleService/CheckDirectoryRole"),
    (Service::Directory, "/tenure.identity.v1.UserService/ListMemberships"),
    (Service::Identity, "/tenure.directory.v1.DirectoryService/AbandonDirectory"),
    (Service::Identity, "/tenure.directory.v1.DirectoryService/ActivateDirectory"),
    (Service::Identity, "/tenure.directory.v1.DirectoryService/CreateDirectory"),
    (Service::Identity, "/tenure.directory.v1.DirectoryService/GetDirectory"),
    (Service::Identity, "/tenure.directory.v1.DomainService/ResolveDomain"),
    (Service::Identity, "/tenure.directory.v1.LienService/CreateLien"),
    (Service::Identity, "/tenure.directory.v1.LienService/DeleteLien"),
    (Service::Subscription, "/tenure.directory.v1.DirectoryService/GetDirectory"),
    (Service::Subscription, "/tenure.directory.v1.LienService/CreateLien"),
    (Service::Subscription, "/tenure.directory.v1.LienService/DeleteLien"),
    (Service::Subscription, "/tenure.identity.v1.DirectoryRoleService/CheckDirectoryRole"),
    (Service::Subscription, "/tenure.identity.v1.UserService/GetUser"),
    (Service::Subscription, "/tenure.identity.v1.UserService/ListMemberships"),
];

/// Whether the method needs no token.
pub fn is_public(method: &str) -> bool {
    PUBLIC.contains(&method)
}

/// Whether the service may call the method.
pub fn is_allowed(service: Service, method: &str) -> bool {
    BETWEEN_SERVICES.contains(&(service, method))
}
