//! Settings: secrets that do not print, all problems told at once, misspelt variables refused (attack 44).
//!
//! Which settings there are, each binary's `clap` command says; nothing here reads the environment by itself.

use std::ffi::OsString;
use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

/// The exit code of a process whose configuration is not usable (`EX_USAGE`).
pub const EXIT_CONFIG_INVALID: u8 = 64;

/// Variables with this prefix are ours: each must be a setting.
const PREFIX: &str = "TENURE_";

/// A value that is never printed: `Debug` hides it, and it has neither `Display` nor `Serialize`.
///
/// A `clap` argument of this type also needs `hide_env_values = true`, or `--help` prints the variable's value.
#[derive(Clone)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Hides a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, for the one use it is for.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

impl<T> From<T> for Secret<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

/// Why a process does not start: everything that is wrong with its configuration, one line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigInvalid(Vec<String>);

impl ConfigInvalid {
    /// What is wrong, one sentence each.
    pub fn problems(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for ConfigInvalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is not usable:")?;
        for problem in &self.0 {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigInvalid {}

/// Collects what is wrong with the configuration, so that all of it is told at once.
#[derive(Debug, Default)]
pub struct Problems(Vec<String>);

impl Problems {
    /// An empty collection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes what is wrong with a setting; the message says what would be right, and never repeats a secret.
    pub fn add(&mut self, setting: &str, message: impl fmt::Display) {
        self.0.push(format!("{setting}: {message}"));
    }

    /// Notes sentences that name their setting themselves, such as those of [`unknown_variables`].
    pub fn extend(&mut self, problems: impl IntoIterator<Item = String>) {
        self.0.extend(problems);
    }

    /// Keeps a value, or notes why there is none.
    pub fn take<T, E: fmt::Display>(&mut self, setting: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.add(setting, error)).ok()
    }

    /// Keeps a value, or notes a sentence that names its setting itself.
    pub fn take_told<T>(&mut self, result: Result<T, String>) -> Option<T> {
        result.map_err(|sentence| self.0.push(sentence)).ok()
    }

    /// Ends the collection: nothing wrong, or everything that was.
    pub fn finish(self) -> Result<(), ConfigInvalid> {
        if self.0.is_empty() { Ok(()) } else { Err(ConfigInvalid(self.0)) }
    }
}

/// Variables of the environment that look like ours and are none of the command's settings, one sentence each.
///
/// A misspelt variable would otherwise leave a default standing where somebody asked for something else.
pub fn unknown_variables(
    command: &clap::Command,
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> Vec<String> {
    let mut known = Vec::new();
    collect_variables(command, &mut known);
    let names = environment.map(|(name, _)| name.to_string_lossy().into_owned());
    let mut unknown: Vec<String> =
        names.filter(|name| name.starts_with(PREFIX) && !known.contains(name)).collect();
    unknown.sort();
    unknown.iter().map(|name| unknown_variable(name, &known)).collect()
}

fn collect_variables(command: &clap::Command, known: &mut Vec<String>) {
    let variables = command.get_arguments().filter_map(clap::Arg::get_env);
    known.extend(variables.map(|name| name.to_string_lossy().into_owned()));
    for subcommand in command.get_subcommands() {
        collect_variables(subcommand, known);
    }
}

fn unknown_variable(name: &str, known: &[String]) -> String {
    let nearest = known.iter().min_by_key(|candidate| distance(name, candidate));
    match nearest {
        Some(nearest) => {
            format!("{name}: there is no such setting; did you mean {nearest}? Otherwise unset it")
        }
        None => format!("{name}: there is no such setting; unset it"),
    }
}

/// How many letters must be put in, taken out or replaced to make one text of the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, candidate) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *candidate);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

/// The units of a span of time, in milliseconds, the largest first.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads a span of time such as `500ms`, `30s`, `5m` or `24h`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration; write one such as 500ms, 30s, 5m or 24h");
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(wrong)?;
    let (count, unit) = text.split_at(digits);
    let count: u64 = count.parse().map_err(|_| wrong())?;
    let (_, milliseconds) = UNITS.into_iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
    count.checked_mul(milliseconds).map(Duration::from_millis).ok_or_else(wrong)
}

/// Writes a span of time as [`duration`] reads it, in the largest unit that makes it whole; for defaults.
pub fn duration_text(duration: Duration) -> String {
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let whole = UNITS.into_iter().find(|(_, unit)| milliseconds.is_multiple_of(*unit));
    let (name, unit) = whole.unwrap_or(("ms", 1));
    format!("{}{name}", milliseconds / unit)
}

/// Reads a span of time within bounds.
pub fn duration_within(text: &str, bounds: &RangeInclusive<Duration>) -> Result<Duration, String> {
    let time = duration(text)?;
    if bounds.contains(&time) {
        Ok(time)
    } else {
        Err(format!("must be from {} to {}", duration_text(*bounds.start()), duration_text(*bounds.end())))
    }
}

/// Reads a whole number within bounds.
pub fn whole<N: FromStr + PartialOrd + fmt::Display>(
    text: &str,
    bounds: &RangeInclusive<N>,
) -> Result<N, String> {
    let number = text.parse().ok().filter(|number| bounds.contains(number));
    number.ok_or_else(|| format!("must be a whole number from {} to {}", bounds.start(), bounds.end()))
}

/// Reads a share between 0 and 1.
pub fn ratio(text: &str) -> Result<f64, String> {
    let ratio = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    ratio.ok_or_else(|| format!("`{text}` is not a ratio; write a number from 0 to 1, such as 0.01"))
}

/// One address or a block of addresses in CIDR form, as `--trusted-proxies` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u32,
}

impl Network {
    /// Whether the address is in the block. An IPv4 address that arrives mapped into IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let differing = network.to_bits() ^ address.to_bits();
                differing.leading_zeros() >= self.prefix
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let differing = network.to_bits() ^ address.to_bits();
                differing.leading_zeros() >= self.prefix
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is not a network; write one such as 10.0.0.0/8, fd00::/8 or 192.0.2.7");
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix.parse().ok().filter(|prefix| *prefix <= most).ok_or_else(wrong)?,
            None => most,
        };
        Ok(Self { address, prefix })
    }
}

#[cfg(test)]
mod tests {
    use clap::{Arg, Command};

    use super::*;

    fn command() -> Command {
        Command::new("tenure")
            .arg(Arg::new("listen").long("listen").env("TENURE_LISTEN"))
            .subcommand(Command::new("serve").arg(Arg::new("data").long("data-dir").env("TENURE_DATA_DIR")))
    }

    fn environment(names: &[&str]) -> impl Iterator<Item = (OsString, OsString)> {
        let pairs: Vec<_> =
            names.iter().map(|name| (OsString::from(name), OsString::from("hunter2"))).collect();
        pairs.into_iter()
    }

    #[test]
    fn a_secret_is_not_printed() {
        let secret = Secret::new("hunter2".to_owned());
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "Secret(hidden) Some(Secret(hidden))");
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let mut problems = Problems::new();
        problems.add("--listen", "0.0.0.0 needs --tls-cert or --plaintext");
        assert_eq!(problems.take("--deadline", duration("soon")), None);
        assert_eq!(problems.take("--drain", duration("25s")), Some(Duration::from_secs(25)));
        problems.extend(unknown_variables(&command(), environment(&["TENURE_X"])));
        let told = problems.finish().unwrap_err();
        assert_eq!(told.problems().len(), 3);
        let text = told.to_string();
        for part in
            ["--listen: 0.0.0.0 needs", "--deadline: `soon` is not a duration", "TENURE_X: there is no"]
        {
            assert!(text.contains(part), "{text}");
        }
        assert!(Problems::new().finish().is_ok());
    }

    #[test]
    fn a_misspelt_variable_is_told_with_the_nearest_name_and_without_its_value() {
        let names =
            ["TENURE_LISTEN", "TENURE_DATA_DIR", "TENURE_DATADIR", "TENURE_LISTN", "PATH", "RUST_LOG"];
        let told = unknown_variables(&command(), environment(&names));
        assert_eq!(told.len(), 2);
        assert!(
            told[0].starts_with("TENURE_DATADIR: ") && told[0].contains("mean TENURE_DATA_DIR?"),
            "{told:?}"
        );
        assert!(told[1].starts_with("TENURE_LISTN: ") && told[1].contains("mean TENURE_LISTEN?"), "{told:?}");
        assert!(!told.concat().contains("hunter2"));
    }

    #[test]
    fn distances_are_those_of_levenshtein() {
        for (one, other, expected) in
            [("", "abc", 3), ("kitten", "sitting", 3), ("same", "same", 0), ("ab", "ba", 2)]
        {
            assert_eq!(distance(one, other), expected, "{one} {other}");
        }
    }

    #[test]
    fn durations_and_ratios_need_their_form() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("5m"), Ok(Duration::from_mins(5)));
        assert_eq!(duration("24h"), Ok(Duration::from_hours(24)));
        for wrong in ["", "30", "s", "-1s", "1.5s", "1d", "99999999999999999999s", "9999999999999999999h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert_eq!(ratio("0.25"), Ok(0.25));
        for wrong in ["", "1.1", "-0.1", "NaN", "all"] {
            assert!(ratio(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_are_written_as_they_are_read() {
        for text in ["1ms", "1500ms", "30s", "90s", "5m", "24h", "720h"] {
            assert_eq!(duration_text(duration(text).unwrap()), text);
        }
        assert_eq!(duration_text(duration("60m").unwrap()), "1h");
    }

    #[test]
    fn bounds_are_told_and_belong_to_what_is_allowed() {
        let bounds = Duration::from_secs(1)..=Duration::from_mins(1);
        assert_eq!(duration_within("1s", &bounds), Ok(Duration::from_secs(1)));
        assert_eq!(duration_within("60s", &bounds), Ok(Duration::from_mins(1)));
        assert_eq!(duration_within("999ms", &bounds).unwrap_err(), "must be from 1s to 1m");
        assert!(duration_within("61s", &bounds).is_err() && duration_within("soon", &bounds).is_err());
        assert_eq!((whole("1", &(1..=9)), whole("9", &(1..=9))), (Ok(1), Ok(9)));
        for wrong in ["0", "10", "-1", "1.5", "", "many"] {
            assert_eq!(whole(wrong, &(1..=9)).unwrap_err(), "must be a whole number from 1 to 9", "{wrong}");
        }
    }

    #[test]
    fn networks_contain_their_addresses() {
        let contains = |network: &str, address: &str| {
            network.parse::<Network>().unwrap().contains(address.parse().unwrap())
        };
        assert!(contains("10.0.0.0/8", "10.255.0.1"));
        assert!(contains("10.0.0.0/8", "::ffff:10.0.0.1"));
        assert!(!contains("10.0.0.0/8", "11.0.0.1"));
        assert!(contains("192.0.2.7", "192.0.2.7"));
        assert!(!contains("192.0.2.7", "192.0.2.8"));
        assert!(contains("0.0.0.0/0", "203.0.113.1"));
        assert!(!contains("0.0.0.0/0", "2001:db8::1"));
        assert!(contains("fd00::/8", "fdff::1"));
        for wrong in ["", "10.0.0.0/33", "10.0.0.0/", "10.0.0/8", "proxy.example", "::/129", "10.0.0.0/-1"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }
}
