//! Where the replay filter writes: one file, replaced as a whole or appended to.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What the filter needs of a disk; tests break each of these.
pub(super) trait Disk: Send {
    /// All there is; `None` where there is no file.
    fn read(&mut self) -> io::Result<Option<Vec<u8>>>;
    /// Puts other content in the file's place, in one step.
    fn replace(&mut self, content: &[u8]) -> io::Result<()>;
    /// Adds to the file's end. On an error some of it may be there.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Waits until everything survives a power loss.
    fn sync(&mut self) -> io::Result<()>;
}

/// A file that no other process writes.
pub(super) struct FileDisk {
    path: PathBuf,
    file: Option<File>,
    /// Held, not used: the lock goes with it.
    _lock: File,
}

/// `path` with another ending.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// A file that only its owner reads: it tells when readers came.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options
}

impl FileDisk {
    /// # Errors
    /// `WouldBlock` where another process holds it; what the system says otherwise.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        // The file itself is replaced by others of its name, so the lock stands beside it.
        let lock = private().truncate(false).open(beside(path, ".lock"))?;
        #[cfg(unix)]
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive)?;
        Ok(Self { path: path.to_owned(), file: None, _lock: lock })
    }
}

impl Disk for FileDisk {
    fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        match fs::read(&self.path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn replace(&mut self, content: &[u8]) -> io::Result<()> {
        let new = beside(&self.path, ".new");
        let mut file = private().truncate(true).open(&new)?;
        file.write_all(content)?;
        fs::rename(&new, &self.path)?;
        // The handle follows the file to its new name, and stands at its end.
        self.file = Some(file);
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.as_mut().ok_or(io::ErrorKind::NotFound)?.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.as_ref().ok_or(io::ErrorKind::NotFound)?.sync_all()?;
        // The name, too.
        #[cfg(unix)]
        if let Some(folder) = self.path.parent() {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }
}

/// Which boot of the system this is, where it says so (random(4)).
pub(super) fn boot() -> Option<[u8; 16]> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    u128::from_str_radix(&digits, 16).ok().map(u128::to_be_bytes).filter(|_| digits.len() == 32)
}
