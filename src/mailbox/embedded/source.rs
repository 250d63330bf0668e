//! Opening what SQLite refuses to open.
//!
//! **Guarantee.** The damaged file is not touched: all is done to a copy. Pages that are cut off or unreadable stay so, and are
//! met where they are read.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::damage::{Header, beside};
use super::database::Database;
use super::schema;
use super::wal::Survey;
use crate::mailbox::MailboxError;

/// Where the header counts the pages.
const PAGE_COUNT_AT: u64 = 28;

/// Opens a copy of the damaged file at `path`, to read from, with what its write-ahead log holds. Where the first page is lost,
/// that of the `fresh` one takes its place: it says where the tables are, which is the same in every file of this layout.
pub(super) fn open(
    path: &Path,
    copy: &Path,
    (fresh_path, fresh): (&Path, &mut Database),
    survey: &Survey,
) -> Result<Database, MailboxError> {
    let refused = |error: io::Error| {
        MailboxError::Unavailable(format!("{}: cannot be copied to {}: {error}", path.display(), copy.display()))
    };
    // SQLite would end at the first damaged frame: it is given what a checkpoint would have made of all of them.
    let renew = || {
        ["-wal", "-shm"].iter().try_for_each(|part| remove_file(&beside(copy, part)))?;
        File::create(copy)?;
        copy_file(path, copy)?;
        survey.apply(path, copy)
    };
    renew().map_err(refused)?;
    let tables = fresh.run(schema::tables)?;
    fit(copy, None).map_err(refused)?;
    match as_it_is(copy, &tables) {
        Ok(Some(old)) => return Ok(old),
        Err(error @ MailboxError::Unavailable(_)) => return Err(error),
        _ => {}
    }
    // A file that has no layout yet has nothing that could be misread.
    let layout = Header::read(copy).map_err(refused)?.map_or(0, |header| header.layout);
    if ![0, schema::LAYOUT].contains(&layout) {
        let (file, known) = (path.display(), schema::LAYOUT);
        return Err(MailboxError::Invalid(format!("{file}: its layout is {layout}, this program knows layout {known}")));
    }
    fresh.run(schema::checkpoint)?;
    let first_page = first_page(fresh_path).map_err(refused)?;
    // The first attempt may have written to it: SQLite does where it takes the file for empty.
    renew().map_err(refused)?;
    fit(copy, Some(&first_page)).map_err(refused)?;
    Database::open(copy, None)
}

/// The file, unless its first page says something else than it should.
fn as_it_is(copy: &Path, tables: &[schema::Root]) -> Result<Option<Database>, MailboxError> {
    let mut old = Database::open(copy, None)?;
    let found = old.run(schema::tables)?;
    let header = Header::read(copy).ok().flatten();
    // A kill came while the log was made: there is a first page, and nothing in it.
    if found.is_empty() && header.is_some_and(|header| header.layout == 0 && header.pages <= 1) {
        old.run(schema::prepare)?;
        return Ok(Some(old));
    }
    Ok((found == tables).then_some(old))
}

fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    match std::fs::copy(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome.map(drop),
    }
}

fn remove_file(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

fn first_page(path: &Path) -> io::Result<Vec<u8>> {
    let bytes = Header::read(path)?.map_or(0, |header| header.page_bytes);
    let mut page = Vec::new();
    File::open(path)?.take(bytes).read_to_end(&mut page)?;
    Ok(page)
}

/// Makes the number of pages in the header that of the file, which SQLite refuses to open otherwise.
fn fit(path: &Path, first_page: Option<&[u8]>) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    if let Some(page) = first_page {
        file.write_all(page)?;
    }
    let Some(header) = Header::read(path)? else { return Ok(()) };
    let pages = file.metadata()?.len().div_ceil(header.page_bytes);
    file.set_len(pages * header.page_bytes)?;
    if first_page.is_some() || header.pages > pages {
        file.seek(SeekFrom::Start(PAGE_COUNT_AT))?;
        file.write_all(&u32::try_from(pages).unwrap_or(u32::MAX).to_be_bytes())?;
    }
    Ok(())
}
