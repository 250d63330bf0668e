//! Which process this is: one at a time on an embedded mailbox, and a stable name among the instances on Kafka.
//!
//! **Guarantee.** The operating system drops the locks when the process ends, however it ends; nothing has to be cleaned up.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::MailboxError;

/// Most processes that may share one folder: more than any machine would run.
const SLOTS: u32 = 1_024;

/// The right to run the stages on the embedded mailbox of a folder. Operator's commands do not need it.
#[derive(Debug)]
pub struct InstanceLock {
    _file: File,
}

impl InstanceLock {
    /// Takes it, or says who has it.
    ///
    /// # Errors
    /// [`MailboxError::Unavailable`] when another process runs here or the folder cannot be written.
    pub fn acquire(dir: &Path) -> Result<InstanceLock, MailboxError> {
        let path = dir.join("mailbox.lock");
        match lock(dir, &path)? {
            Ok(file) => Ok(InstanceLock { _file: file }),
            Err(owner) => Err(MailboxError::Unavailable(format!(
                "{} is in use by another reprise{owner}: stop it first, or give this one another data_dir",
                dir.display()
            ))),
        }
    }
}

/// A number that no other living process on this folder has: the lowest free one, so that a restarted process gets the number
/// of its predecessor and fences it.
#[derive(Debug)]
pub struct InstanceSlot {
    number: u32,
    _file: File,
}

impl InstanceSlot {
    /// Takes the lowest free number.
    ///
    /// # Errors
    /// [`MailboxError::Unavailable`] when the folder cannot be written or all numbers are taken.
    pub fn acquire(dir: &Path) -> Result<InstanceSlot, MailboxError> {
        for number in 0..SLOTS {
            if let Ok(file) = lock(dir, &dir.join(format!("instance-{number}.lock")))? {
                return Ok(InstanceSlot { number, _file: file });
            }
        }
        Err(MailboxError::Unavailable(format!("{}: all {SLOTS} instance numbers are taken", dir.display())))
    }

    /// The number, from 0.
    pub fn number(&self) -> u32 {
        self.number
    }
}

/// The locked file, or a remark on who holds it.
fn lock(dir: &Path, path: &Path) -> Result<Result<File, String>, MailboxError> {
    let refused = |error: std::io::Error| MailboxError::Unavailable(format!("{}: cannot be locked: {error}", path.display()));
    std::fs::create_dir_all(dir).map_err(refused)?;
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(refused)?;
    match file.try_lock() {
        Ok(()) => {
            // For people and for the message below; the lock is what counts.
            file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0))).map_err(refused)?;
            write!(file, "{}", std::process::id()).map_err(refused)?;
            Ok(Ok(file))
        }
        Err(TryLockError::WouldBlock) => {
            let mut owner = String::new();
            let known = Read::by_ref(&mut file).take(20).read_to_string(&mut owner).is_ok() && owner.parse::<u32>().is_ok();
            Ok(Err(if known { format!(" (process {owner})") } else { String::new() }))
        }
        Err(TryLockError::Error(error)) => Err(refused(error)),
    }
}

/// The name of this process among the instances of the deployment: `<hostname>-<hash of the folder>-<number>`.
pub fn instance_name(dir: &Path, slot: &InstanceSlot) -> String {
    use sha2::{Digest, Sha256};
    let absolute = dir.canonicalize().unwrap_or_else(|_| PathBuf::from(dir));
    let digest = Sha256::digest(absolute.as_os_str().as_encoded_bytes());
    let hash: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{hash}-{}", hostname(), slot.number)
}

fn hostname() -> String {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let name = read("/proc/sys/kernel/hostname").or_else(|| read("/etc/hostname")).or_else(|| std::env::var("HOSTNAME").ok());
    let plain: String =
        name.unwrap_or_default().trim().chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).collect();
    if plain.is_empty() { "host".to_owned() } else { plain }
}
