//! The dashboard: one page and its files, built into the binary. No build step, nothing from elsewhere.

/// The page at `/`.
pub const PAGE: &str = include_str!("index.html");

/// A file of the page: its type and text.
pub fn asset(name: &str) -> Option<(&'static str, &'static str)> {
    const SCRIPT: &str = "text/javascript; charset=utf-8";
    match name {
        "style.css" => Some(("text/css; charset=utf-8", include_str!("style.css"))),
        "main.js" => Some((SCRIPT, include_str!("main.js"))),
        "dom.js" => Some((SCRIPT, include_str!("dom.js"))),
        "format.js" => Some((SCRIPT, include_str!("format.js"))),
        "tree.js" => Some((SCRIPT, include_str!("tree.js"))),
        "panels.js" => Some((SCRIPT, include_str!("panels.js"))),
        "controls.js" => Some((SCRIPT, include_str!("controls.js"))),
        _ => None,
    }
}
