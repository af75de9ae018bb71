//! A folder of given files.

use std::io;
use std::path::Path;

/// Writes files below a folder, with the folders that they need. A name may have several parts.
pub(crate) fn lay_out(folder: &Path, files: &[(&str, &str)]) -> io::Result<()> {
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(folder))?;
        std::fs::write(path, text)?;
    }
    Ok(())
}
