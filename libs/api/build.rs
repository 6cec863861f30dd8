//! Compiles the contract in `proto/` to Rust and to a descriptor set. It needs no protoc and writes nothing outside
//! of `OUT_DIR`.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Root of our own protos, relative to this package.
const CONTRACT: &str = "../../proto";
/// Root of Google's protos.
const VENDORED: &str = "../../proto/vendor";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={CONTRACT}");

    let mut files = Vec::new();
    protos_below(&Path::new(CONTRACT).join("tenure"), &mut files)?;
    files.sort();

    let mut compiler = protox::Compiler::new([CONTRACT, VENDORED])?;
    compiler.include_imports(true).include_source_info(true).open_files(files)?;

    // Encoded by protox, not by prost-types: only so do the options that are extensions (field behaviour, resources)
    // survive into what reflection shows.
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out_dir.join("descriptor_set.bin"), compiler.encode_file_descriptor_set())?;

    let mut descriptors = compiler.file_descriptor_set();
    // Annotations of the contract are of use in the descriptor set and need no Rust.
    descriptors.file.retain(|file| file.package() != "google.api");
    // Ordered maps: a request has one encoding, which its fingerprint is made of.
    tonic_prost_build::configure().btree_map(".").include_file("contract.rs").compile_fds(descriptors)?;
    Ok(())
}

/// Collects every `.proto` file below `folder`.
fn protos_below(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            protos_below(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    Ok(())
}
