//! `tenure audit`: verifies the audit logs as they stand in their databases, and exports their seals (P-10, K13, K49).
//!
//! It only reads, whether or not servers run; it asks none.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use database::verify::{self, ExportedSeal, Verified};
use database::{DatabaseUrl, StoreError, snapshot};
use serde::{Deserialize, Serialize};

use crate::embedded::Databases;

/// Why a log could not be looked at; that it is broken is an outcome, not a failure.
#[derive(Debug, thiserror::Error)]
pub enum AuditFailed {
    /// The text is no address.
    #[error("{0}: must be a file, sqlite:PATH or postgres://USER:PASSWORD@HOST:PORT/DATABASE")]
    Url(String),
    /// The database cannot be opened.
    #[error("{0}")]
    Open(String, #[source] database::OpenError),
    /// It cannot be read, or is none of this system's.
    #[error("{0}")]
    Read(String, #[source] StoreError),
    /// The exported seals cannot be read.
    #[error("{0}")]
    Seals(String, #[source] io::Error),
    /// A line of the exported seals is none.
    #[error("{0}, line {1}")]
    Line(String, usize, #[source] serde_json::Error),
    /// What was found cannot be written.
    #[error("cannot write")]
    Write(#[from] io::Error),
}

/// A database, as it was named.
#[derive(Debug, Clone)]
pub struct Source {
    /// For people; a password in an address is left out.
    name: String,
    url: DatabaseUrl,
}

/// A line of an export.
#[derive(Serialize, Deserialize)]
struct Line {
    context: String,
    #[serde(flatten)]
    seal: ExportedSeal,
}

/// What was found out about one log.
struct Found {
    context: String,
    exported: usize,
    verified: Verified,
}

/// The databases that are named, or the three of a data folder.
pub fn sources(named: &[String], data_dir: &Path) -> Result<Vec<Source>, AuditFailed> {
    if named.is_empty() {
        let files = Databases::NAMES.map(|name| data_dir.join(name).with_extension("db"));
        return Ok(files.into_iter().map(of_file).collect());
    }
    named.iter().map(|named| source(named)).collect()
}

fn source(named: &str) -> Result<Source, AuditFailed> {
    if named.contains("://") || named.starts_with("sqlite:") {
        // The text itself may hold a password and is not repeated.
        let scheme = named.split(':').next().unwrap_or_default();
        let url: DatabaseUrl = named.parse().map_err(|_| AuditFailed::Url(format!("{scheme}:…")))?;
        return Ok(Source { name: format!("{url:?}"), url });
    }
    Ok(of_file(PathBuf::from(named)))
}

fn of_file(file: PathBuf) -> Source {
    Source { name: file.display().to_string(), url: DatabaseUrl::Sqlite(file) }
}

/// Verifies each log, and says on one line each what was found; gives whether all are whole.
///
/// With a file of exported seals, each chain must also begin with those of its context.
pub async fn verify(
    sources: &[Source],
    seals: Option<&Path>,
    out: &mut impl Write,
) -> Result<bool, AuditFailed> {
    let exported = seals.map(read_seals).transpose()?;
    let mut is_whole = true;
    for source in sources {
        let found = verify_one(source, exported.as_deref()).await?;
        is_whole &= matches!(found.verified, Verified::Intact { .. });
        writeln!(out, "{found}")?;
    }
    Ok(is_whole)
}

async fn verify_one(source: &Source, exported: Option<&[Line]>) -> Result<Found, AuditFailed> {
    let unreadable = |error| AuditFailed::Read(source.name.clone(), error);
    let open = snapshot(&source.url).await;
    let mut tx = open.map_err(|error| AuditFailed::Open(source.name.clone(), error))?;
    let context = verify::context(&mut tx).await.map_err(unreadable)?;
    let of_context = exported.unwrap_or_default().iter().filter(|line| line.context == context);
    let of_context: Vec<_> = of_context.map(|line| line.seal.clone()).collect();
    let verified = verify::verify_against(&mut tx, &of_context).await.map_err(unreadable)?;
    Ok(Found { context, exported: of_context.len(), verified })
}

/// Writes the seals of each log, from its first on, one JSON object on a line.
pub async fn export(sources: &[Source], out: &mut impl Write) -> Result<(), AuditFailed> {
    for source in sources {
        let unreadable = |error| AuditFailed::Read(source.name.clone(), error);
        let open = snapshot(&source.url).await;
        let mut tx = open.map_err(|error| AuditFailed::Open(source.name.clone(), error))?;
        let context = verify::context(&mut tx).await.map_err(unreadable)?;
        let mut last = 0;
        loop {
            let seals = verify::exported_seals(&mut tx, last).await.map_err(unreadable)?;
            let Some(end) = seals.last() else { break };
            last = end.number;
            for seal in seals {
                let line = Line { context: context.clone(), seal };
                serde_json::to_writer(&mut *out, &line).map_err(io::Error::from)?;
                writeln!(out)?;
            }
        }
    }
    Ok(out.flush()?)
}

fn read_seals(file: &Path) -> Result<Vec<Line>, AuditFailed> {
    let name = file.display().to_string();
    let text = fs::read_to_string(file).map_err(|error| AuditFailed::Seals(name.clone(), error))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let read = |(number, line)| {
        serde_json::from_str(line).map_err(|error| AuditFailed::Line(name.clone(), number + 1, error))
    };
    lines.map(read).collect()
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.verified {
            Verified::Intact { entries, unsealed } => {
                write!(f, "{}: whole: {entries} entries are as they were sealed", self.context)?;
                if self.exported > 0 {
                    write!(f, ", the first {} seals as they were exported", self.exported)?;
                }
                write!(f, "; {unsealed} not sealed yet")
            }
            Verified::Broken { position, wrong } => {
                write!(f, "{}: BROKEN at position {position}: {wrong}", self.context)
            }
        }
    }
}
