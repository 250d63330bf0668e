//! Text that is safe to stand in the page, and numbers as a person reads them.

use unicode_normalization::char::is_combining_mark;

/// Most characters of a name in a table.
pub(super) const NAME: usize = 60;
/// Combining marks on one letter: real languages need two, text made to spill over its line has dozens.
const MARKS: usize = 3;

/// A text of the data: at most `most` characters, then an ellipsis; what is invisible, breaks lines or turns the direction of
/// writing is gone. Not escaped yet.
fn cut(text: &str, most: usize) -> String {
    let mut marks = 0;
    let visible = text.chars().filter(|c| !disturbs(*c)).map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| {
        marks = if is_combining_mark(*c) { marks + 1 } else { 0 };
        marks <= MARKS
    });
    // One more than fits tells whether there is more.
    let mut kept: Vec<char> = visible.take(most + 1).collect();
    if kept.len() > most {
        kept.truncate(most.saturating_sub(1));
        kept.push('…');
    }
    kept.into_iter().collect()
}

/// The same, escaped for text and attributes.
pub(super) fn shown(text: &str, most: usize) -> String {
    escaped(&cut(text, most))
}

/// The same within a sentence that will be escaped as a whole: its direction of writing stays its own.
pub(super) fn spoken(text: &str) -> String {
    format!("\u{2068}{}\u{2069}", cut(text, NAME))
}

/// The same in an element that keeps its direction of writing to itself.
pub(super) fn name(text: &str) -> String {
    let shown = shown(text, NAME);
    if shown.trim().is_empty() { "<i>no name</i>".to_owned() } else { format!("<bdi>{shown}</bdi>") }
}

fn disturbs(c: char) -> bool {
    (c.is_control() && !c.is_whitespace())
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{e007f}')
        || u32::from(c) & 0xfffe == 0xfffe
        || matches!(c, '\u{fdd0}'..='\u{fdef}')
}

/// Text as text, also between double quotes.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

/// `12,345`.
pub(super) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 track`, `12,345 tracks`.
pub(super) fn counted(value: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(value), if value == 1 { "" } else { "s" })
}

/// With a real minus sign, and thousands apart; what is too large to be read is told in powers of ten.
pub(super) fn decimal(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    if value.abs() >= 1e15 {
        return format!("{value:.1e}").replace('-', "−");
    }
    let text = format!("{:.decimals$}", value.abs());
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let minus = if value < 0.0 && text.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) { "−" } else { "" };
    format!("{minus}{}{rest}", count(whole.parse().unwrap_or_default()))
}

/// A correlation: `+0.42`.
pub(super) fn signed(value: f64) -> String {
    let text = decimal(value, 2);
    if text.starts_with('−') || text == "0.00" { text } else { format!("+{text}") }
}

/// `12 %`; never 0 % of something and never 100 % of not everything.
pub(super) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    let share = part as f64 / whole as f64 * 100.0;
    match share.round() {
        0.0 if part > 0 => "under 1 %".to_owned(),
        100.0 if part < whole => "over 99 %".to_owned(),
        rounded => format!("{rounded:.0} %"),
    }
}

/// Short, for the edge of a picture: `950`, `12k`, `3.4M`.
pub(super) fn short(value: f64) -> String {
    let (scaled, unit) = match value.abs() {
        size if size >= 1e9 => (value / 1e9, "G"),
        size if size >= 1e6 => (value / 1e6, "M"),
        size if size >= 1e4 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let decimals = if unit.is_empty() || (scaled - scaled.round()).abs() < 0.05 { 0 } else { 1 };
    format!("{}{unit}", decimal(scaled, decimals))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_a_person_writes_them() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(decimal(-12_345.678, 1), "−12,345.7");
        assert_eq!(decimal(-0.001, 2), "0.00");
        assert_eq!((decimal(f64::NAN, 1), decimal(1e300, 0)), ("–".to_owned(), "1.0e300".to_owned()));
        assert_eq!([0.421, -0.421, 0.0].map(signed), ["+0.42", "−0.42", "0.00"]);
        assert_eq!([950.0, 12_000.0, 3_400_000.0].map(short), ["950", "12k", "3.4M"]);
        assert_eq!((counted(1, "track"), counted(2_000, "track")), ("1 track".to_owned(), "2,000 tracks".to_owned()));
    }

    #[test]
    fn a_share_is_nothing_or_everything_only_where_it_is() {
        let said = [(0, 300), (1, 300), (150, 300), (299, 300), (300, 300), (0, 0)].map(|(part, whole)| percent(part, whole));
        assert_eq!(said, ["0 %", "under 1 %", "50 %", "over 99 %", "100 %", "–"]);
    }

    #[test]
    fn what_turns_hides_or_spills_is_gone_and_what_is_long_is_cut() {
        assert_eq!(shown("a\u{202e}b\u{0}c\nd\u{2066}e\u{200f}", 60), "abc de");
        assert_eq!(shown("<script>'\"&", 60), "&lt;script&gt;&#39;&quot;&amp;");
        assert_eq!(shown("ééééé", 5), "ééééé");
        assert_eq!(shown("éééééé", 5), "éééé…");
        assert_eq!(shown(&format!("z{}", "\u{301}".repeat(40)), 60).chars().count(), 1 + MARKS);
        assert_eq!(name("\u{200b}"), "<i>no name</i>");
        assert_eq!(name("שלום"), "<bdi>שלום</bdi>");
    }
}
