//! `bank backup`: a copy of the data directory, beside the bank that serves from it or without one.

use std::fs;
use std::io;
use std::path::Path;

use crate::cli::BackupOptions;
use crate::failure::Failure;
use crate::world::{subscriptions, tables};

/// Where the signing keys are in a data directory.
const KEYS: &str = "keys";

pub fn back_up(options: &BackupOptions) -> Result<(), Failure> {
    let (data_dir, to) = (&options.data.data_dir, &options.directory);
    embedded::back_up(data_dir, to, &tables(), &subscriptions()).map_err(Failure::from_error)?;
    copy_keys(data_dir, to).map_err(Failure::because("the signing keys cannot be copied"))?;
    println!("{} is a copy of {}: serve from it, or put it in its place.", to.display(), data_dir.display());
    Ok(())
}

/// Copies the keys with their permissions, which are their owner's alone. A store that was never served from has none.
fn copy_keys(data_dir: &Path, to: &Path) -> io::Result<()> {
    let keys = match fs::read_dir(data_dir.join(KEYS)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        keys => keys?,
    };
    fs::create_dir(to.join(KEYS))?;
    for key in keys {
        let key = key?;
        let copy = to.join(KEYS).join(key.file_name());
        fs::copy(key.path(), &copy)?;
        fs::File::open(&copy)?.sync_all()?;
    }
    fs::File::open(to.join(KEYS))?.sync_all()
}
