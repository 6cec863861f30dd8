//! Rust for the contract in `proto/`: messages, clients, servers and the descriptor set, one module per package. It
//! does not check what is in a message; each service parses its own requests.

use prost::Message as _;
use prost_types::FileDescriptorSet;

#[expect(
    missing_docs,
    unreachable_pub,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::default_trait_access,
    clippy::doc_markdown,
    clippy::too_many_lines,
    reason = "generated: its comments are the contract's, its style is the generators'"
)]
mod contract {
    include!(concat!(env!("OUT_DIR"), "/contract.rs"));
}

/// An amount of money, as Google's common types have it.
pub use contract::google::r#type::Money;
pub use contract::tenure::{directory, identity, subscription};

/// The contract as a compiled descriptor set, imports and comments included, for reflection and for the guards.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor_set.bin"));

/// What several contexts use: package `tenure.type.v1`.
pub mod types {
    pub use crate::contract::tenure::r#type::v1;
}

/// The descriptor set, decoded.
pub fn descriptor_set() -> FileDescriptorSet {
    FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("the build script has just encoded it")
}

/// Full names of the services of the contract, such as `tenure.directory.v1.DirectoryService`, in order of the alphabet.
pub fn service_names() -> Vec<String> {
    let mut names: Vec<String> = services().map(|(name, _)| name).collect();
    names.sort();
    names
}

/// Paths of all methods of the contract, such as `/tenure.directory.v1.DirectoryService/GetDirectory`, in order of the
/// alphabet.
pub fn method_paths() -> Vec<String> {
    let mut paths: Vec<String> = services()
        .flat_map(|(service, methods)| methods.into_iter().map(move |method| format!("/{service}/{method}")))
        .collect();
    paths.sort();
    paths
}

/// As [`method_paths`], of the methods that answer with a stream.
pub fn streaming_method_paths() -> Vec<String> {
    let mut paths = Vec::new();
    for file in descriptor_set().file.iter().filter(|file| file.package().starts_with("tenure.")) {
        for service in &file.service {
            let streaming = service.method.iter().filter(|method| method.server_streaming());
            let path = |method: &str| format!("/{}.{}/{method}", file.package(), service.name());
            paths.extend(streaming.map(|method| path(method.name())));
        }
    }
    paths
}

/// Each service of the contract with the names of its methods.
fn services() -> impl Iterator<Item = (String, Vec<String>)> {
    let ours = descriptor_set().file.into_iter().filter(|file| file.package().starts_with("tenure."));
    ours.flat_map(|file| {
        let package = file.package().to_owned();
        file.service.into_iter().map(move |service| {
            let methods = service.method.iter().map(|method| method.name().to_owned()).collect();
            (format!("{package}.{}", service.name()), methods)
        })
    })
}

macro_rules! reason { ($($package:ident),+) => { $(
    impl $package::v1::ErrorReason {
        /// The reason as it stands in an `ErrorInfo`: the value's name without `ERROR_REASON_`.
        pub fn reason(self) -> &'static str {
            self.as_str_name().split_at("ERROR_REASON_".len()).1
        }
    }
)+ } }

reason!(directory, identity, subscription);
