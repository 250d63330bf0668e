//! Spotify's search language: plain words and field filters.

use super::fold;

/// A search, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// As asked, outer spaces aside.
    pub text: String,
    /// Words without a field. A track needs one of them; more are better.
    pub words: Vec<String>,
    /// All of them must hold.
    pub filters: Vec<Filter>,
}

/// A field filter. Words in it must all be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// `artist:`
    Artist(Vec<String>),
    /// `track:`
    Track(Vec<String>),
    /// `album:`
    Album(Vec<String>),
    /// `genre:`, on the genres that Spotify shows.
    Genre(Vec<String>),
    /// `year:1999` or `year:1990-1999`.
    Year(i64, i64),
    /// `isrc:`
    Isrc(String),
    /// A field that no track here has: `upc:`, `tag:`, a year that is none.
    Nothing,
}

impl Query {
    /// Understands any text; what looks like a field and is none is taken as words.
    pub fn parse(text: &str) -> Query {
        let text = text.trim();
        let mut query = Query { text: text.to_owned(), words: Vec::new(), filters: Vec::new() };
        for token in tokens(text) {
            match token.split_once(':').and_then(|(field, value)| filter(field, value.trim_matches('"'))) {
                Some(filter) => query.filters.push(filter),
                None => query.words.extend(fold::words(&token)),
            }
        }
        query
    }
}

/// Splits at spaces outside double quotes.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = vec![String::new()];
    let mut quoted = false;
    for letter in text.chars() {
        if letter == '"' {
            quoted = !quoted;
        }
        if letter.is_whitespace() && !quoted {
            tokens.push(String::new());
        } else if let Some(token) = tokens.last_mut() {
            token.push(letter);
        }
    }
    tokens.retain(|token| !token.is_empty());
    tokens
}

fn filter(field: &str, value: &str) -> Option<Filter> {
    let words = || fold::words(value);
    Some(match field.to_lowercase().as_str() {
        "artist" => Filter::Artist(words()),
        "track" => Filter::Track(words()),
        "album" => Filter::Album(words()),
        "genre" => Filter::Genre(words()),
        "isrc" => Filter::Isrc(value.to_uppercase()),
        "year" => years(value),
        "upc" | "tag" => Filter::Nothing,
        _ => return None,
    })
}

fn years(value: &str) -> Filter {
    let (first, last) = value.split_once('-').unwrap_or((value, value));
    match (first.trim().parse(), last.trim().parse()) {
        (Ok(first), Ok(last)) => Filter::Year(first, last),
        _ => Filter::Nothing,
    }
}
