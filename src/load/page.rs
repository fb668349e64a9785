//! Pages that need nothing but themselves: no script, no font, no picture from elsewhere.
//!
//! Plots are SVG in the page. Their axes and letters are black in the source and take the page's ink by style sheet, so
//! the same page reads well on paper, in a light window and in a dark one.

use std::fmt::{Display, Write as _};

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1d2228;--paper:#ffffff;--faint:#667080;--rule:#d5dae0}
@media(prefers-color-scheme:dark){:root{--ink:#e3e7ec;--paper:#15191e;--faint:#98a3b0;--rule:#38414b}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:960px;margin:2em auto;padding:0 1em}
h1{font-size:1.6em;margin-bottom:.2em}p{margin:.4em 0}
h2{font-size:1.3em;margin:2.2em 0 .4em;padding-top:.5em;border-top:1px solid var(--rule)}h3{font-size:1.05em;margin:1.6em 0 .2em}
.faint{color:var(--faint)}
table{border-collapse:collapse;font-size:.93em;font-variant-numeric:tabular-nums;margin:.6em 0}
.wide{overflow-x:auto}
th,td{text-align:right;padding:.2em .6em;border-bottom:1px solid var(--rule);white-space:nowrap}
th{font-weight:600}th:first-child,td:first-child{text-align:left}td.text{text-align:left;white-space:normal}
figure{margin:.6em 0}svg{width:100%;height:auto;display:block}
svg text{fill:var(--ink);font-family:system-ui,sans-serif}svg [stroke=\"#000000\"]{stroke:var(--ink)}
";

/// A page from the parts of its body.
pub(super) fn page(title: &str, body: &str) -> String {
    let title = escaped(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>{title}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )
}

/// Text that means itself.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A table: the first row is its head, the first column names the rows.
pub(super) fn table<R, C>(rows: impl IntoIterator<Item = R>) -> String
where
    R: IntoIterator<Item = C>,
    C: Display,
{
    let mut out = String::from("<div class=\"wide\"><table>\n");
    for (number, row) in rows.into_iter().enumerate() {
        let tag = if number == 0 { "th" } else { "td" };
        out.push_str("<tr>");
        for cell in row {
            let cell = escaped(&cell.to_string());
            let _ = write!(out, "<{tag}>{cell}</{tag}>");
        }
        out.push_str("</tr>\n");
    }
    out + "</table></div>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_server_or_a_user_are_text() {
        let page = page("<a>&\"", &table([["<b>"], ["&"]]));
        assert!(
            page.contains("&lt;a&gt;&amp;&quot;")
                && page.contains("<th>&lt;b&gt;</th>")
                && page.contains("<td>&amp;</td>")
        );
    }
}
