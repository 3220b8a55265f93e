//! Which file a path means, as Debian's default server block decides it:
//! `index index.html index.htm index.nginx-debian.html;` and `try_files $uri $uri/ =404;`.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path as FsPath, PathBuf};
use std::time::SystemTime;

use rozaneh_net::pool::Slice;

use super::body::Source;
use super::date;
use super::page::Problem;
use super::uri::Path;

/// The page Debian's package puts into an empty `/var/www/html`.
static STOCK_PAGE: &[u8] = include_bytes!("stock/index.nginx-debian.html");
const STOCK_NAME: &[u8] = b"/index.nginx-debian.html";
const INDEX: [&str; 3] = ["index.html", "index.htm", "index.nginx-debian.html"];
/// nginx gives up on internal redirects after this many.
const MAX_REDIRECTS: usize = 10;

/// What is served.
pub(super) enum Site {
    /// A directory of the file system.
    Directory(PathBuf),
    /// The directory a fresh installation has: one page, with the time of the installation.
    Stock { modified: i64 },
}

/// What a name is.
#[derive(Clone, Copy)]
struct Stat {
    directory: bool,
    regular: bool,
    size: u64,
    modified: i64,
}

impl Stat {
    fn of(meta: &Metadata) -> Self {
        let modified = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        Self { directory: meta.is_dir(), regular: meta.is_file(), size: meta.len(), modified: date::seconds(modified) }
    }
}

/// What the visitor wants to do, as far as files care.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// GET or HEAD.
    Read,
    Post,
    Other,
}

/// A file ready to be sent.
pub(super) struct Opened {
    pub source: Source,
    pub size: u64,
    pub modified: i64,
    /// The path that was served in the end, which decides the type.
    pub path: Vec<u8>,
}

/// The outcome of a search.
pub(super) enum Found {
    File(Opened),
    /// A directory asked for without its slash; the path may be an index name.
    Directory(Path),
    Problem(Problem),
}

/// Errors that mean "there is no such name".
fn absent(error: &io::Error) -> bool {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => true,
        _ => too_long(error),
    }
}

#[cfg(unix)]
fn too_long(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENAMETOOLONG)
}

#[cfg(not(unix))]
fn too_long(_error: &io::Error) -> bool {
    false
}

/// Appends a normalised path, which starts with `/` and holds no dot segments, so it cannot leave `root`.
#[cfg(unix)]
fn inside(root: &FsPath, path: &[u8]) -> io::Result<PathBuf> {
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let mut bytes = root.as_os_str().as_bytes().to_vec();
    bytes.extend_from_slice(path);
    Ok(PathBuf::from(OsString::from_vec(bytes)))
}

/// Elsewhere names have more magic (drives, streams, device names, trailing dots): what is not plain does not exist.
#[cfg(not(unix))]
fn inside(root: &FsPath, path: &[u8]) -> io::Result<PathBuf> {
    let absent = || io::Error::from(io::ErrorKind::NotFound);
    let text = std::str::from_utf8(path).map_err(|_| absent())?;
    let mut out = root.to_path_buf();
    for segment in text.split('/').filter(|s| !s.is_empty()) {
        let odd = segment.contains(['\\', ':', '*', '?', '"', '<', '>', '|']) || segment.ends_with(['.', ' ']);
        let stem = segment.split('.').next().unwrap_or_default().to_ascii_uppercase();
        let device = matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL")
            || (stem.len() == 4 && (stem.starts_with("COM") || stem.starts_with("LPT")));
        if odd || device {
            return Err(absent());
        }
        out.push(segment);
    }
    if text.ends_with('/') && !out.is_dir() {
        return Err(absent());
    }
    Ok(out)
}

/// Opens without waiting for whatever a special file would wait for; symbolic links are followed, as nginx does.
#[cfg(unix)]
fn open_plain(path: &FsPath) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)
}

#[cfg(not(unix))]
fn open_plain(path: &FsPath) -> io::Result<File> {
    File::open(path)
}

impl Site {
    fn stat(&self, path: &[u8]) -> io::Result<Stat> {
        match self {
            Self::Directory(root) => Ok(Stat::of(&fs::metadata(inside(root, path)?)?)),
            Self::Stock { modified } => match path {
                b"/" => Ok(Stat { directory: true, regular: false, size: 0, modified: *modified }),
                path if path == STOCK_NAME => {
                    Ok(Stat { directory: false, regular: true, size: STOCK_PAGE.len() as u64, modified: *modified })
                }
                path => {
                    let below = path.starts_with(STOCK_NAME) && path.get(STOCK_NAME.len()) == Some(&b'/');
                    let kind = if below { io::ErrorKind::NotADirectory } else { io::ErrorKind::NotFound };
                    Err(kind.into())
                }
            },
        }
    }

    fn open(&self, path: &[u8], stat: Stat) -> io::Result<(Source, Stat)> {
        let Self::Directory(root) = self else {
            return Ok((Source::Memory(Slice::copy_from(STOCK_PAGE)), stat));
        };
        let file = open_plain(&inside(root, path)?)?;
        let stat = Stat::of(&file.metadata()?);
        let mut source = Source::Disk(file);
        // What fits one buffer is read now, while this thread may block anyway.
        if stat.regular && stat.size <= 64 * 1024 {
            source = Source::Memory(source.read(0, stat.size)?);
        }
        Ok((source, stat))
    }

    /// Looks a path up; touches the disk, so it runs where that may block.
    pub(super) fn find(&self, mut path: Path, wish: Wish) -> Found {
        for _ in 0..MAX_REDIRECTS {
            // try_files: the name as a file, then as a directory; every error counts as absence.
            let Ok(stat) = self.stat(&path.path) else { return Found::Problem(Problem::NotFound) };
            if wish == Wish::Other {
                return Found::Problem(Problem::NotAllowed);
            }
            if path.path.last() != Some(&b'/') {
                return self.file(path, stat, wish);
            }
            match self.index(&path) {
                Ok(Some(next)) => path = next,
                Ok(None) => return Found::Problem(Problem::Forbidden),
                Err(problem) => return Found::Problem(problem),
            }
        }
        Found::Problem(Problem::Internal)
    }

    /// The first index file of a directory that exists, whatever it is.
    fn index(&self, directory: &Path) -> Result<Option<Path>, Problem> {
        for name in INDEX {
            let mut path = directory.path.clone();
            path.extend_from_slice(name.as_bytes());
            match self.stat(&path) {
                Ok(_) => return Ok(Some(Path { path, args: directory.args.clone() })),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(Problem::Forbidden),
                Err(error) if absent(&error) => return Err(Problem::NotFound),
                Err(_) => return Err(Problem::Internal),
            }
        }
        Ok(None)
    }

    fn file(&self, path: Path, stat: Stat, wish: Wish) -> Found {
        if stat.directory {
            return Found::Directory(path);
        }
        if !stat.regular {
            return Found::Problem(Problem::NotFound);
        }
        match self.open(&path.path, stat) {
            Ok((_, stat)) if stat.directory => Found::Directory(path),
            Ok((_, stat)) if !stat.regular => Found::Problem(Problem::NotFound),
            Ok(_) if wish == Wish::Post => Found::Problem(Problem::NotAllowed),
            Ok((source, stat)) => {
                Found::File(Opened { source, size: stat.size, modified: stat.modified, path: path.path })
            }
            Err(error) if absent(&error) => Found::Problem(Problem::NotFound),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Found::Problem(Problem::Forbidden),
            Err(_) => Found::Problem(Problem::Internal),
        }
    }
}
