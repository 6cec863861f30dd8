//! Guards over the contract as compiled: its rpcs, their comments, and the reasons they answer with. They read the
//! descriptor set only; whether a service keeps what a comment promises is tested with the service.

use std::collections::{BTreeMap, BTreeSet};

use prost_types::{EnumDescriptorProto, FileDescriptorProto};

/// Every service with its rpcs; whoever changes the contract changes this list with it.
const SERVICES: &[(&str, &[&str])] = &[
    (
        "tenure.directory.v1.DirectoryService",
        &[
            "CreateDirectory",
            "ActivateDirectory",
            "AbandonDirectory",
            "GetDirectory",
            "ListDirectories",
            "ListMyDirectories",
        ],
    ),
    (
        "tenure.directory.v1.DomainService",
        &[
            "CreateDomain",
            "VerifyDomain",
            "RotateDomainChallenge",
            "SetPrimaryDomain",
            "GetDomain",
            "ListDomains",
            "DeleteDomain",
            "ResolveDomain",
        ],
    ),
    ("tenure.directory.v1.LienService", &["CreateLien", "GetLien", "ListLiens", "DeleteLien"]),
    ("tenure.identity.v1.SignUpService", &["SignUp"]),
    ("tenure.identity.v1.UserService", &["CreateUser", "GetUser", "ListUsers", "ListMemberships", "GetMe"]),
    ("tenure.identity.v1.SessionService", &["SignIn", "RefreshSession", "RevokeSession", "GetJsonWebKeySet"]),
    (
        "tenure.identity.v1.DirectoryRoleService",
        &[
            "ListDirectoryRoles",
            "CreateRoleAssignment",
            "DeleteRoleAssignment",
            "ListRoleAssignments",
            "CheckDirectoryRole",
        ],
    ),
    ("tenure.subscription.v1.CatalogService", &["ListProducts", "GetProduct", "ListOffers", "GetOffer"]),
    ("tenure.subscription.v1.OrderService", &["PreviewOffice365Order", "GetOrder", "ListOrders"]),
    (
        "tenure.subscription.v1.SubscriptionService",
        &["AttachOffice365Subscription", "SignUpAzureSubscription", "GetSubscription", "ListSubscriptions"],
    ),
];

/// The first number of the reasons that belong to one package alone.
const FIRST_OWN_NUMBER: i32 = 50;
/// The last number of the reasons that every package has.
const LAST_COMMON_NUMBER: i32 = 22;

/// One rpc as the guards see it.
struct Rpc {
    package: String,
    path: String,
    comment: String,
    request_fields: BTreeSet<String>,
}

impl Rpc {
    /// The `CODE REASON` lines below "Errors:", as pairs.
    fn errors(&self) -> Vec<(&str, &str)> {
        self.error_lines().into_iter().filter_map(|line| line.split_once(' ')).filter(is_reason).collect()
    }

    /// The line that names the common sets.
    fn common_sets(&self) -> &str {
        self.error_lines().last().copied().unwrap_or_default()
    }

    fn error_lines(&self) -> Vec<&str> {
        let (_, errors) = self.comment.split_once("Errors:\n").expect("another test checks the parts");
        errors.lines().filter_map(|line| line.trim().strip_prefix("- ")).collect()
    }
}

/// Whether a pair is a code with a reason, and not the line of the common sets.
fn is_reason((code, _): &(&str, &str)) -> bool {
    *code == code.to_uppercase()
}

/// One value of an `ErrorReason` enum.
struct Reason {
    number: i32,
    code: String,
    comment: String,
}

fn our_files() -> Vec<FileDescriptorProto> {
    let files = api::descriptor_set().file;
    files.into_iter().filter(|file| file.package().starts_with("tenure.")).collect()
}

/// The leading comment of whatever stands at `path` in the file.
fn comment_at(file: &FileDescriptorProto, path: [usize; 4]) -> String {
    let path = path.map(|part| i32::try_from(part).expect("a file is no longer than that"));
    let locations = &file.source_code_info.as_ref().expect("source info is included").location;
    let location =
        locations.iter().find(|location| location.path == path).expect("everything has a location");
    let lines = location.leading_comments().lines().map(|line| line.strip_prefix(' ').unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

fn request_fields(file: &FileDescriptorProto, message: &str) -> BTreeSet<String> {
    let name = message.rsplit('.').next().unwrap_or_default();
    let message = file.message_type.iter().find(|message| message.name() == name);
    let message = message.expect("a request stands in the file of its service");
    message.field.iter().map(|field| field.name().to_owned()).collect()
}

/// Every rpc of the contract. The numbers are those of `descriptor.proto`: 6 services of a file, 2 methods of one.
fn rpcs() -> Vec<Rpc> {
    let mut rpcs = Vec::new();
    for file in our_files() {
        for (at, service) in file.service.iter().enumerate() {
            for (nth, method) in service.method.iter().enumerate() {
                rpcs.push(Rpc {
                    package: file.package().to_owned(),
                    path: format!("{}.{}/{}", file.package(), service.name(), method.name()),
                    comment: comment_at(&file, [6, at, 2, nth]),
                    request_fields: request_fields(&file, method.input_type()),
                });
            }
        }
    }
    rpcs
}

fn reason_of(
    file: &FileDescriptorProto,
    at: usize,
    value: usize,
    reasons: &EnumDescriptorProto,
) -> (String, Reason) {
    let comment = comment_at(file, [5, at, 2, value]);
    let code = comment.split(':').next().unwrap_or_default().to_owned();
    let value = &reasons.value[value];
    let name = value.name().strip_prefix("ERROR_REASON_").expect("lint demands the prefix").to_owned();
    (name, Reason { number: value.number(), code, comment })
}

/// The reasons of every package, without the unspecified ones. 5 is the enums of a file, 2 the values of one.
fn reasons() -> BTreeMap<String, BTreeMap<String, Reason>> {
    let mut packages = BTreeMap::new();
    for file in our_files() {
        for (at, reasons) in file.enum_type.iter().enumerate() {
            if reasons.name() == "ErrorReason" {
                let specified = (0..reasons.value.len()).filter(|&value| reasons.value[value].number() != 0);
                let named = specified.map(|value| reason_of(&file, at, value, reasons)).collect();
                packages.insert(file.package().to_owned(), named);
            }
        }
    }
    packages
}

#[test]
fn the_rpcs_are_the_reviewed_ones() {
    let mut expected: Vec<String> = Vec::new();
    for (service, methods) in SERVICES {
        expected.extend(methods.iter().map(|method| format!("/{service}/{method}")));
    }
    expected.sort();
    assert_eq!(api::method_paths(), expected);

    let mut services: Vec<&str> = SERVICES.iter().map(|(service, _)| *service).collect();
    services.sort_unstable();
    assert_eq!(api::service_names(), services);
}

#[test]
fn every_rpc_comment_has_its_four_parts_in_order() {
    for rpc in rpcs() {
        let starts = ["\nCallers: ", "\nIdempotency: ", "\nErrors:\n"].map(|part| {
            assert_eq!(rpc.comment.matches(part).count(), 1, "{}: {part:?}", rpc.path);
            rpc.comment.find(part).unwrap()
        });
        assert!(starts.is_sorted(), "{}: parts out of order", rpc.path);
        let what = rpc.comment[..starts[0]].trim();
        assert!(what.ends_with('.'), "{}: says what it does in sentences", rpc.path);
    }
}

#[test]
fn every_reason_an_rpc_lists_exists_in_its_package_with_that_code() {
    let reasons = reasons();
    for rpc in rpcs() {
        let mut seen = BTreeSet::new();
        for (code, name) in rpc.errors() {
            let reason = reasons[&rpc.package].get(name);
            let reason = reason.unwrap_or_else(|| panic!("{}: {name} is not a reason", rpc.path));
            assert_eq!(reason.code, code, "{}: {name}", rpc.path);
            assert!(seen.insert(name), "{}: {name} is listed twice", rpc.path);
        }
    }
}

#[test]
fn every_rpc_names_the_common_sets_that_its_request_calls_for() {
    for rpc in rpcs() {
        let expected =
            match (rpc.request_fields.contains("page_token"), rpc.request_fields.contains("request_id")) {
                (false, false) => "common set C",
                (true, false) => "common sets C and L",
                (false, true) => "common sets C and W",
                (true, true) => panic!("{}: lists and writes", rpc.path),
            };
        assert_eq!(rpc.common_sets(), expected, "{}", rpc.path);
        assert_eq!(rpc.error_lines().len(), rpc.errors().len() + 1, "{}: a line of another form", rpc.path);
    }
}

#[test]
fn every_reason_of_one_package_is_listed_by_an_rpc() {
    let rpcs = rpcs();
    let mut unlisted = Vec::new();
    for (package, reasons) in reasons() {
        let ours: Vec<&Rpc> = rpcs.iter().filter(|rpc| rpc.package == package).collect();
        let listed: BTreeSet<&str> =
            ours.iter().flat_map(|rpc| rpc.errors()).map(|(_, reason)| reason).collect();
        let own = reasons.iter().filter(|(_, reason)| reason.number >= FIRST_OWN_NUMBER);
        let missing = own.filter(|(name, _)| !listed.contains(name.as_str()));
        unlisted.extend(missing.map(|(name, _)| (package.clone(), name.clone())));
    }
    assert!(unlisted.is_empty(), "{unlisted:?}");
}

#[test]
fn common_reasons_are_the_same_in_every_package() {
    let packages = reasons();
    assert_eq!(packages.len(), 3);
    let common = |reasons: &BTreeMap<String, Reason>| -> BTreeMap<i32, (String, String)> {
        let common = reasons.iter().filter(|(_, reason)| reason.number < FIRST_OWN_NUMBER);
        common.map(|(name, reason)| (reason.number, (name.clone(), reason.comment.clone()))).collect()
    };
    let first = common(&packages["tenure.directory.v1"]);
    assert!(first.keys().copied().eq(1..=LAST_COMMON_NUMBER));
    for (package, reasons) in &packages {
        assert_eq!(common(reasons), first, "{package}");
    }
}

#[test]
fn every_reason_tells_code_metadata_and_what_to_do() {
    const CODES: &[&str] = &[
        "ABORTED",
        "ALREADY_EXISTS",
        "DEADLINE_EXCEEDED",
        "FAILED_PRECONDITION",
        "INTERNAL",
        "INVALID_ARGUMENT",
        "NOT_FOUND",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "UNAUTHENTICATED",
        "UNAVAILABLE",
        "UNIMPLEMENTED",
    ];
    for (package, reasons) in reasons() {
        for (name, reason) in reasons {
            assert!(CODES.contains(&reason.code.as_str()), "{package} {name}: {:?}", reason.code);
            assert!(reason.comment.contains("\nMetadata: "), "{package} {name}");
            assert!(reason.comment.contains("\nNext: "), "{package} {name}");
        }
    }
}

#[test]
fn a_reason_goes_out_without_its_prefix() {
    assert_eq!(api::directory::v1::ErrorReason::InitialDomainTaken.reason(), "INITIAL_DOMAIN_TAKEN");
    assert_eq!(api::identity::v1::ErrorReason::PasswordTooWeak.reason(), "PASSWORD_TOO_WEAK");
    assert_eq!(api::subscription::v1::ErrorReason::TrialAlreadyUsed.reason(), "TRIAL_ALREADY_USED");
}

/// Just enough of a descriptor set to read the option that `prost_types` drops, being an extension.
mod annotated {
    #[derive(prost::Message)]
    pub(super) struct Set {
        #[prost(message, repeated, tag = "1")]
        pub(super) files: Vec<File>,
    }

    #[derive(prost::Message)]
    pub(super) struct File {
        #[prost(string, tag = "2")]
        pub(super) package: String,
        #[prost(message, repeated, tag = "4")]
        pub(super) messages: Vec<Message>,
    }

    #[derive(prost::Message)]
    pub(super) struct Message {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(message, repeated, tag = "2")]
        pub(super) fields: Vec<Field>,
    }

    #[derive(prost::Message)]
    pub(super) struct Field {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(message, tag = "8")]
        pub(super) options: Option<FieldOptions>,
    }

    #[derive(prost::Message)]
    pub(super) struct FieldOptions {
        /// `google.api.field_behavior`.
        #[prost(int32, repeated, packed = "false", tag = "1052")]
        pub(super) behaviors: Vec<i32>,
    }
}

#[test]
fn every_field_of_a_request_or_resource_says_how_it_behaves() {
    let set = <annotated::Set as prost::Message>::decode(api::FILE_DESCRIPTOR_SET).unwrap();
    let mut silent = Vec::new();
    let mut said = 0;
    for file in set
        .files
        .iter()
        .filter(|file| file.package.starts_with("tenure.") && file.package != "tenure.type.v1")
    {
        for message in file.messages.iter().filter(|message| !message.name.ends_with("Response")) {
            for field in &message.fields {
                if field.options.as_ref().is_some_and(|options| !options.behaviors.is_empty()) {
                    said += 1;
                } else {
                    silent.push(format!("{}.{}.{}", file.package, message.name, field.name));
                }
            }
        }
    }
    assert_eq!(silent, Vec::<String>::new());
    assert!(said > 100, "the options are in the set at all");
}
