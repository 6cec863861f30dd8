//! `docker-compose.yml` as an engine would see it: anchors followed, variables resolved, unknown keys refused.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Map, Value};
use yaml_rust2::{Yaml, YamlLoader};

use crate::process::Program;

/// The four binaries of the image.
pub(super) const BINARIES: [&str; 4] =
    ["tenure", "directory-service", "identity-service", "subscription-service"];

/// What variables are set to.
pub(super) type Variables = BTreeMap<String, String>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Compose {
    pub(super) name: String,
    pub(super) services: BTreeMap<String, Service>,
    pub(super) configs: BTreeMap<String, Config>,
    pub(super) volumes: BTreeMap<String, Option<Value>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Service {
    pub(super) image: String,
    pub(super) build: Option<Build>,
    pub(super) restart: Option<String>,
    pub(super) stop_grace_period: Option<String>,
    #[serde(default)]
    pub(super) profiles: Vec<String>,
    #[serde(default)]
    pub(super) depends_on: BTreeMap<String, Dependency>,
    #[serde(default)]
    pub(super) command: Vec<String>,
    #[serde(default)]
    pub(super) environment: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) ports: Vec<String>,
    #[serde(default)]
    pub(super) volumes: Vec<String>,
    #[serde(default)]
    pub(super) tmpfs: Vec<String>,
    #[serde(default)]
    pub(super) configs: Vec<ConfigMount>,
    pub(super) healthcheck: Option<HealthCheck>,
    #[serde(default)]
    pub(super) read_only: bool,
    #[serde(default)]
    pub(super) cap_drop: Vec<String>,
    #[serde(default)]
    pub(super) security_opt: Vec<String>,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(super) struct Build {
    pub(super) context: String,
    pub(super) dockerfile: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dependency {
    pub(super) condition: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigMount {
    pub(super) source: String,
    pub(super) target: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    pub(super) content: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HealthCheck {
    pub(super) test: Vec<String>,
    pub(super) interval: String,
    pub(super) timeout: String,
    pub(super) retries: u32,
    pub(super) start_period: String,
}

/// The folder in which the files stand.
pub(super) fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

impl Compose {
    /// The file, with these variables and no others.
    pub(super) fn read(variables: &Variables) -> Self {
        let text = fs::read_to_string(root().join("docker-compose.yml")).unwrap();
        let mut whole = parse(&text);
        whole.as_object_mut().unwrap().retain(|key, _| !key.starts_with("x-"));
        resolve_all(&mut whole, variables);
        serde_json::from_value(whole).unwrap_or_else(|error| panic!("docker-compose.yml: {error}"))
    }

    pub(super) fn service(&self, name: &str) -> &Service {
        self.services.get(name).unwrap_or_else(|| panic!("there is no service {name}"))
    }
}

impl Service {
    /// Whether it runs this project's image.
    pub(super) fn is_ours(&self) -> bool {
        self.build.is_some()
    }

    /// Its command as a plain process with its environment.
    pub(super) fn program(&self) -> Program {
        self.process(&self.command)
    }

    /// The command by which its health is asked, with its environment, as an engine runs it.
    pub(super) fn health(&self) -> Program {
        let test = &self.healthcheck.as_ref().expect("it has a health check").test;
        assert_eq!(test[0], "CMD", "there is no shell in the image");
        self.process(&test[1..])
    }

    fn process(&self, command: &[String]) -> Program {
        let (path, arguments) = command.split_first().expect("a command is there");
        let name = BINARIES.into_iter().find(|name| path.strip_prefix('/') == Some(name));
        let name = name.unwrap_or_else(|| panic!("{path} is not in the image"));
        let program = Program::new(name).args(arguments.iter().cloned());
        self.environment.iter().fold(program, |program, (name, value)| program.env(name, value))
    }
}

/// One document; the parser follows its anchors, and refuses a key that stands twice.
pub(super) fn parse(text: &str) -> Value {
    let documents = YamlLoader::load_from_str(text).unwrap();
    let [document] = &documents[..] else { panic!("{} documents", documents.len()) };
    plain(document)
}

fn plain(yaml: &Yaml) -> Value {
    match yaml {
        Yaml::Hash(members) => {
            // Whatever stands there itself goes before what is merged in.
            let mut plain = Map::new();
            for (key, value) in members {
                match key.as_str().expect("keys are texts") {
                    "<<" => plain = merged(value, plain),
                    key => _ = plain.insert(key.to_owned(), self::plain(value)),
                }
            }
            Value::Object(plain)
        }
        Yaml::Array(items) => items.iter().map(plain).collect(),
        Yaml::String(text) => Value::from(text.as_str()),
        Yaml::Integer(number) => Value::from(*number),
        Yaml::Boolean(is) => Value::from(*is),
        Yaml::Null => Value::Null,
        Yaml::Real(_) | Yaml::Alias(_) | Yaml::BadValue => panic!("{yaml:?} is beyond this test"),
    }
}

fn merged(source: &Yaml, over: Map<String, Value>) -> Map<String, Value> {
    let Value::Object(mut under) = plain(source) else { panic!("{source:?} cannot be merged") };
    under.extend(over);
    under
}

fn resolve_all(value: &mut Value, variables: &Variables) {
    match value {
        Value::String(text) => {
            *text = resolve(text, variables).unwrap_or_else(|problem| panic!("{text}: {problem}"));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| resolve_all(item, variables)),
        Value::Object(members) => members.values_mut().for_each(|member| resolve_all(member, variables)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Puts in values for `${NAME}`, `${NAME:-default}` and `${NAME:?message}`; compose would put in nothing for a variable
/// that has neither value nor default, and go on.
fn resolve(text: &str, variables: &Variables) -> Result<String, String> {
    let mut resolved = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        resolved.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            resolved.push('$');
            rest = after;
            continue;
        }
        let inner = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let (inner, after) = inner.ok_or("`$` begins neither `${NAME…}` nor `$$`")?;
        let end = inner.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(inner.len());
        let (name, otherwise) = inner.split_at(end);
        let value = variables.get(name).map(String::as_str);
        let set = value.filter(|value| !value.is_empty());
        let value = match (otherwise.get(..2), otherwise.get(2..)) {
            (Some(":-"), Some(default)) if !default.contains('$') => set.unwrap_or(default),
            (Some(":?"), Some(message)) => set.ok_or(message)?,
            (None, _) if otherwise.is_empty() => {
                value.ok_or_else(|| format!("{name} has neither value nor default"))?
            }
            _ => return Err(format!("`{inner}` is beyond this test")),
        };
        resolved.push_str(value);
        rest = after;
    }
    Ok(resolved + rest)
}

#[test]
fn what_stands_in_a_mapping_goes_before_what_is_merged_into_it() {
    let text = "base: &base {a: 1, b: 1}\nover: &over {<<: *base, b: 2, c: [x, true, null]}\nlast: {c: 3, <<: *over}";
    let expected = serde_json::json!({
        "base": {"a": 1, "b": 1},
        "over": {"a": 1, "b": 2, "c": ["x", true, null]},
        "last": {"a": 1, "b": 2, "c": 3},
    });
    assert_eq!(parse(text), expected);
    YamlLoader::load_from_str("{a: 1, a: 2}").unwrap_err();
}

#[test]
fn variables_are_resolved_as_compose_does_it_and_a_missing_one_is_refused() {
    let variables = Variables::from([("A".to_owned(), "a".to_owned()), ("EMPTY".to_owned(), String::new())]);
    for (text, resolved) in [
        ("plain", "plain"),
        ("<${A}>", "<a>"),
        ("${A:-b}${B:-b}${EMPTY:-b}", "abb"),
        ("${A:?is needed}", "a"),
        ("${EMPTY}$${A}", "${A}"),
    ] {
        assert_eq!(resolve(text, &variables).as_deref(), Ok(resolved), "{text}");
    }
    for text in ["${B}", "${B:?is needed}", "${EMPTY:?is needed}", "$A", "${A", "${A:+b}", "${B:-${A}}"] {
        resolve(text, &variables).unwrap_err();
    }
}
