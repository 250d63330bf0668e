//! The write-ahead log of the file: how far SQLite will believe it, and how far it went.
//!
//! SQLite takes the first frame whose checksum fails for the end of the log: after a crash in the middle of a write that is what
//! it is. Damage looks the same, and what was committed behind it would be gone without a word. It can be told apart.
//!
//! **Guarantee.** A frame that was committed and would not be taken up again is noticed: by the count of committed frames that
//! the index beside the log keeps, which a commit raises only once the frames are on disk; where there is no such count, by
//! commits further on. What a crash left unfinished is no damage.
//!
//! The layout of both files is SQLite's: <https://sqlite.org/fileformat2.html#the_write_ahead_log> and
//! <https://sqlite.org/walformat.html>.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::damage::{Header, beside};
use crate::mailbox::MailboxError;

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
/// The first word of the log; its last bit says in which byte order checksums are reckoned.
const MAGIC: u32 = 0x377f_0682;
const VERSION: u32 = 3_007_000;
/// The header of the index, of which two copies stand at its beginning.
const INDEX_HEADER_BYTES: usize = 48;
/// What pages are where neither the log nor the file says it: SQLite's default, which this log keeps.
const USUAL_PAGE_BYTES: u64 = 4_096;

/// What a log consists of. Frames are counted from 1, as SQLite does.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Survey {
    /// Frames up to the last commit before the first unsound one: what SQLite takes up.
    pub(super) recovered: u64,
    /// Frames up to the last commit known of; at least `recovered`.
    pub(super) committed: u64,
    /// Of every frame up to `committed`: the page it holds, and whether it is sound. Frames that are cut off are missing.
    frames: Vec<Frame>,
    page_bytes: u64,
    /// Pages that the file had at the last commit that is taken up.
    pages: u64,
    /// It is of an earlier time than the file: somebody put it there.
    pub(super) is_outdated: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Frame {
    page: u32,
    is_sound: bool,
}

impl Survey {
    /// Reads the log beside the file at `path`. One that is not there, or empty, has no frames.
    ///
    /// # Errors
    /// [`MailboxError::Unavailable`] when it cannot be read.
    pub(super) fn of(path: &Path) -> Result<Survey, MailboxError> {
        let log = beside(path, "-wal");
        Survey::read(path, &log)
            .map_err(|error| MailboxError::Unavailable(format!("{}: cannot be read: {error}", log.display())))
    }

    fn read(path: &Path, log: &Path) -> io::Result<Survey> {
        let index = Index::read(path)?;
        let without_frames = |index: Option<Index>| Survey::default().reaching(index.map(|index| index.left));
        let mut log = match File::open(log) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(without_frames(index)),
            opened => BufReader::new(opened?),
        };
        let mut header = [0; HEADER_BYTES];
        if !fill(&mut log, &mut header)? {
            return Ok(without_frames(index));
        }
        let mut header = LogHeader::read(&header);
        let file = Header::read(path).ok().flatten();
        let told = header.page_bytes.filter(|_| header.is_sound);
        let page_bytes = told.or(file.map(|file| file.page_bytes)).unwrap_or(USUAL_PAGE_BYTES);
        if !header.is_sound {
            let usual = match &index {
                Some(index) => Some(index.salt),
                None => usual_salt(&mut log, page_bytes)?,
            };
            header.salt = usual.unwrap_or(header.salt);
            log.seek(SeekFrom::Start(HEADER_BYTES as u64))?;
        }
        let mut survey = Walk { header, page_bytes, index }.through(&mut log)?;
        // The file never gets shorter.
        survey.is_outdated |= survey.recovered > 0 && file.is_some_and(|file| file.pages > survey.pages);
        Ok(survey)
    }

    /// With the last commit where the index says it was.
    fn reaching(mut self, committed: Option<u64>) -> Survey {
        self.committed = self.recovered.max(committed.unwrap_or(0));
        self
    }

    /// Frames that were committed and that SQLite would not take up.
    pub(super) fn lost(&self) -> u64 {
        self.committed - self.recovered
    }

    /// Pages of which the newest state was committed and cannot be had.
    pub(super) fn stale_pages(&self) -> u64 {
        let newest: BTreeMap<u32, bool> = self.frames.iter().map(|frame| (frame.page, frame.is_sound)).collect();
        let unsound = newest.values().filter(|is_sound| !**is_sound).count() as u64;
        unsound + (self.committed - self.frames.len() as u64)
    }

    /// Writes the newest sound state of every page into `copy`, a copy of the file at `path`, as a checkpoint does.
    pub(super) fn apply(&self, path: &Path, copy: &Path) -> io::Result<()> {
        if self.frames.is_empty() {
            return Ok(());
        }
        let mut log = File::open(beside(path, "-wal"))?;
        let mut file = File::options().write(true).create(true).truncate(false).open(copy)?;
        let sound = self.frames.iter().enumerate().filter(|(_, frame)| frame.is_sound && frame.page > 0);
        let newest: BTreeMap<u32, usize> = sound.map(|(at, frame)| (frame.page, at)).collect();
        let mut page = vec![0; usize::try_from(self.page_bytes).unwrap_or_default()];
        for (number, at) in newest {
            let frame_bytes = FRAME_HEADER_BYTES as u64 + self.page_bytes;
            log.seek(SeekFrom::Start(HEADER_BYTES as u64 + at as u64 * frame_bytes + FRAME_HEADER_BYTES as u64))?;
            log.read_exact(&mut page)?;
            file.seek(SeekFrom::Start(u64::from(number - 1) * self.page_bytes))?;
            file.write_all(&page)?;
        }
        Ok(())
    }
}

/// One way through the frames.
struct Walk {
    header: LogHeader,
    page_bytes: u64,
    index: Option<Index>,
}

impl Walk {
    fn through(self, log: &mut impl Read) -> io::Result<Survey> {
        let mut survey = Survey { page_bytes: self.page_bytes, ..Survey::default() };
        let mut frame = vec![0; FRAME_HEADER_BYTES + usize::try_from(self.page_bytes).unwrap_or_default()];
        let salt = self.header.salt;
        let mut before = self.header.checksum;
        let mut is_whole = self.header.is_sound;
        let mut last_commit = 0;
        while fill(log, &mut frame)? {
            let (head, page) = frame.split_at(FRAME_HEADER_BYTES);
            let stored = (word(head, 16), word(head, 20));
            let of_this_log = salt_of(head) == salt;
            // Each frame is reckoned from what stands in the one before, so that damage to one does not hide the others.
            let sum = self.header.order.sum(self.header.order.sum(before, &head[..8]), page);
            let is_sound = of_this_log && sum == stored;
            before = stored;
            is_whole &= is_sound;
            survey.frames.push(Frame { page: word(head, 0), is_sound });
            if of_this_log && word(head, 4) > 0 {
                last_commit = survey.frames.len() as u64;
                if is_whole {
                    (survey.recovered, survey.pages) = (last_commit, u64::from(word(head, 4)));
                }
            }
        }
        // The first half of the salt is counted up with each generation of the log. The index of an earlier one, as a loss of
        // power may leave it, says nothing. That of a later one is made with its count at 0, and counts only what is in the log.
        let later = |index: &Index| index.salt.0.wrapping_sub(salt.0).cast_signed() > 0;
        survey.is_outdated = self.index.as_ref().is_some_and(|index| later(index) && index.left > 0);
        let counted = self.index.filter(|index| index.salt == salt).map(|index| {
            // Nothing is missed of a log that is in the file already, unless a part of it would be taken up once more.
            if survey.recovered == 0 { index.left } else { index.committed }
        });
        let mut survey = survey.reaching(Some(counted.unwrap_or(last_commit)));
        survey.frames.truncate(usize::try_from(survey.committed).unwrap_or(usize::MAX));
        Ok(survey)
    }
}

/// The beginning of a log.
struct LogHeader {
    is_sound: bool,
    order: Order,
    page_bytes: Option<u64>,
    salt: (u32, u32),
    checksum: (u32, u32),
}

impl LogHeader {
    fn read(bytes: &[u8; HEADER_BYTES]) -> LogHeader {
        let magic = word(bytes, 0);
        let told = if magic == MAGIC | 1 { Order::Big } else { Order::Little };
        let checksum = (word(bytes, 24), word(bytes, 28));
        let page_bytes = Some(u64::from(word(bytes, 8))).filter(|size| size.is_power_of_two() && (512..=65_536).contains(size));
        let known = magic & !1 == MAGIC && word(bytes, 4) == VERSION && page_bytes.is_some();
        let is_sound = known && told.sum((0, 0), &bytes[..24]) == checksum;
        let order = if is_sound { told } else { Order::NATIVE };
        LogHeader { is_sound, order, page_bytes, salt: (word(bytes, 16), word(bytes, 20)), checksum }
    }
}

/// What the index beside the log says: memory that the processes share, which a kill leaves as it was.
struct Index {
    salt: (u32, u32),
    /// The frame of the last commit.
    committed: u64,
    /// The same where something of the log is not in the file yet; 0 where the log may be missing.
    left: u64,
}

impl Index {
    /// `None` if there is none, or none that can be trusted.
    fn read(path: &Path) -> io::Result<Option<Index>> {
        let mut bytes = Vec::new();
        match File::open(beside(path, "-shm")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?.take(2 * INDEX_HEADER_BYTES as u64 + 4).read_to_end(&mut bytes)?,
        };
        let (Some(one), Some(other)) = (bytes.get(..INDEX_HEADER_BYTES), bytes.get(INDEX_HEADER_BYTES..2 * INDEX_HEADER_BYTES))
        else {
            return Ok(None);
        };
        // Numbers stand in this machine's byte order; the salt is copied as it stands in the log.
        let is_set = one[12] == 1 && Order::NATIVE.sum((0, 0), &one[..40]) == (native(one, 40), native(one, 44));
        if one != other || !is_set || native(one, 0) != VERSION {
            return Ok(None);
        }
        let committed = u64::from(native(one, 16));
        let copied = bytes.get(2 * INDEX_HEADER_BYTES..).filter(|rest| rest.len() == 4).map_or(0, |rest| native(rest, 0));
        let left = if u64::from(copied) < committed { committed } else { 0 };
        Ok(Some(Index { salt: (word(one, 32), word(one, 36)), committed, left }))
    }
}

/// The byte order of the words that a checksum is reckoned of.
#[derive(Debug, Clone, Copy)]
enum Order {
    Big,
    Little,
}

impl Order {
    /// That of this machine, and so of a log written by it.
    const NATIVE: Order = if cfg!(target_endian = "big") { Order::Big } else { Order::Little };

    /// SQLite's checksum of `bytes`, continued from `before`.
    fn sum(self, before: (u32, u32), bytes: &[u8]) -> (u32, u32) {
        let number = |four: &[u8]| match (self, <[u8; 4]>::try_from(four).unwrap_or_default()) {
            (Order::Big, four) => u32::from_be_bytes(four),
            (Order::Little, four) => u32::from_le_bytes(four),
        };
        bytes.chunks_exact(8).fold(before, |(one, two), pair| {
            let (first, second) = pair.split_at(4);
            let one = one.wrapping_add(number(first)).wrapping_add(two);
            (one, two.wrapping_add(number(second)).wrapping_add(one))
        })
    }
}

/// The salt that most frames carry.
fn usual_salt(log: &mut impl Read, page_bytes: u64) -> io::Result<Option<(u32, u32)>> {
    let mut counts: BTreeMap<(u32, u32), u64> = BTreeMap::new();
    let mut frame = vec![0; FRAME_HEADER_BYTES + usize::try_from(page_bytes).unwrap_or_default()];
    while fill(log, &mut frame)? {
        *counts.entry(salt_of(&frame)).or_default() += 1;
    }
    Ok(counts.into_iter().filter(|(salt, _)| *salt != (0, 0)).max_by_key(|(_, count)| *count).map(|(salt, _)| salt))
}

fn salt_of(frame: &[u8]) -> (u32, u32) {
    (word(frame, 8), word(frame, 12))
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_be_bytes)
}

fn native(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_ne_bytes)
}

/// Fills `buffer`; `false` if the log ends before.
fn fill(log: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match log.read_exact(buffer) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        outcome => outcome.map(|()| true),
    }
}
