//! Pages that need nothing but themselves: no script, no font, no picture from elsewhere.
//!
//! Plots are SVG in the page. Their axes and letters are black in the source and take the page's ink by style sheet, so
//! the same page reads well on paper, in a light window and in a dark one.

use plotters::{
    coord::ranged1d::{AsRangedCoord, ValueFormatter},
    prelude::*,
};
use std::fmt::{Display, Write as _};

/// Told apart on white and on black, also by most of those who do not tell red from green.
const COLOURS: [RGBColor; 8] = [
    RGBColor(0x3f, 0x72, 0xe0),
    RGBColor(0xd9, 0x72, 0x2e),
    RGBColor(0x2e, 0x9e, 0x6b),
    RGBColor(0xc9, 0x4a, 0x6b),
    RGBColor(0x8a, 0x68, 0xd0),
    RGBColor(0xa3, 0x86, 0x1c),
    RGBColor(0x1f, 0x9a, 0xa8),
    RGBColor(0x80, 0x80, 0x80),
];

const WIDTH: u32 = 860;
const HEIGHT: u32 = 340;

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
.key{display:flex;flex-wrap:wrap;gap:.2em 1.2em;font-size:.9em}
.key i{display:inline-block;width:1.4em;height:.25em;vertical-align:middle;margin-right:.4em}
";

/// Values whose ratio is less than this are near each other: a scale of ratios would have a label or two.
const NEAR: f64 = 20.0;

/// Lines over a common axis.
pub(super) struct Plot<'a> {
    pub(super) x: Axis<'a>,
    pub(super) y: Axis<'a>,
    pub(super) lines: Vec<Line>,
}

/// What an axis shows.
pub(super) struct Axis<'a> {
    pub(super) name: &'a str,
    /// Equal distances are equal ratios, if the values are far apart; zero and less are left out.
    pub(super) ratios: bool,
    pub(super) format: &'a dyn Fn(f64) -> String,
}

/// One line, in the colour of its number.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) colour: usize,
    pub(super) points: Vec<(f64, f64)>,
    /// Those of them that mean less than they seem to: a ring instead of a dot.
    pub(super) doubtful: Vec<(f64, f64)>,
}

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

impl Plot<'_> {
    /// The plot with its key. Lines without points are left out; a plot without lines says that there is nothing.
    pub(super) fn figure(&self) -> String {
        let points = self.lines.iter().flat_map(|line| line.points.iter().copied());
        let all: Vec<(f64, f64)> = points.filter(|point| self.fits(*point)).collect();
        let (Some(x), Some(y)) =
            (self.x.range(all.iter().map(|point| point.0)), self.y.range(all.iter().map(|point| point.1)))
        else {
            return "<p class=\"faint\">Nothing was measured.</p>\n".to_owned();
        };
        let ratios = |axis: &Axis<'_>, range: (f64, f64)| axis.ratios && range.1 / range.0 > NEAR;
        let mut svg = String::new();
        let drawn = {
            let area = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
            let (linear_x, linear_y) = (linear(x), linear(y));
            match (ratios(&self.x, x), ratios(&self.y, y)) {
                (false, false) => self.draw(&area, linear_x, linear_y),
                (false, true) => self.draw(&area, linear_x, decades(y).log_scale()),
                (true, false) => self.draw(&area, (x.0..x.1).log_scale(), linear_y),
                (true, true) => self.draw(&area, (x.0..x.1).log_scale(), decades(y).log_scale()),
            }
        };
        match drawn {
            // Inside a page an SVG has its name space; the attribute would only look like a reference.
            Ok(()) => {
                let svg = svg.replacen(" xmlns=\"http://www.w3.org/2000/svg\"", "", 1);
                format!("<figure>\n{svg}</figure>\n{}", self.key())
            }
            Err(error) => format!("<p class=\"faint\">Not drawn: {}</p>\n", escaped(&error)),
        }
    }

    /// Whether a point can be drawn: a scale of ratios has no place for zero.
    fn fits(&self, (x, y): (f64, f64)) -> bool {
        let fits = |axis: &Axis<'_>, value: f64| value.is_finite() && (!axis.ratios || value > 0.0);
        fits(&self.x, x) && fits(&self.y, y)
    }

    fn draw<X, Y>(&self, area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>, x: X, y: Y) -> Result<(), String>
    where
        X: AsRangedCoord<Value = f64>,
        Y: AsRangedCoord<Value = f64>,
        X::CoordDescType: ValueFormatter<f64>,
        Y::CoordDescType: ValueFormatter<f64>,
    {
        let failed = |error: DrawingAreaErrorKind<_>| error.to_string();
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .margin_right(28)
            .x_label_area_size(44)
            .y_label_area_size(82)
            .build_cartesian_2d(x, y)
            .map_err(failed)?;
        let grid = RGBColor(0x88, 0x88, 0x88);
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(grid.mix(0.28))
            .axis_style(BLACK)
            .label_style(("sans-serif", 14))
            .axis_desc_style(("sans-serif", 14))
            .x_desc(self.x.name)
            .y_desc(self.y.name)
            .x_labels(8)
            .y_labels(6)
            .x_label_formatter(&|value| (self.x.format)(*value))
            .y_label_formatter(&|value| (self.y.format)(*value))
            .draw()
            .map_err(failed)?;
        for line in &self.lines {
            let colour = COLOURS[line.colour % COLOURS.len()];
            // A moment without a value is a gap, not a way from one value to the next.
            for points in line.points.split(|point| !self.fits(*point)).filter(|points| !points.is_empty()) {
                chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2))).map_err(failed)?;
                // Few points: what was measured should be told from what is in between.
                if line.points.len() <= 12 || points.len() == 1 {
                    let size = if line.points.len() <= 12 { 4 } else { 2 };
                    let marks = points.iter().map(|point| match line.doubtful.contains(point) {
                        true => Circle::new(*point, size + 1, colour.stroke_width(2)),
                        false => Circle::new(*point, size, colour.filled()),
                    });
                    chart.draw_series(marks).map_err(failed)?;
                }
            }
        }
        area.present().map_err(failed)
    }

    fn key(&self) -> String {
        let mut out = String::from("<p class=\"key\">");
        for line in self.lines.iter().filter(|line| !line.points.is_empty()) {
            let RGBColor(r, g, b) = COLOURS[line.colour % COLOURS.len()];
            let name = escaped(&line.name);
            let _ = write!(out, "<span><i style=\"background:#{r:02x}{g:02x}{b:02x}\"></i>{name}</span>");
        }
        out + "</p>\n"
    }
}

impl Axis<'_> {
    /// The least and the largest; `None` without values.
    fn range(&self, values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
        values.fold(None, |range: Option<(f64, f64)>, value| {
            Some(range.map_or((value, value), |(least, most)| (least.min(value), most.max(value))))
        })
    }
}

/// From a power of ten to a power of ten: those have labels.
fn decades((least, most): (f64, f64)) -> std::ops::Range<f64> {
    10_f64.powf(least.log10().floor())..10_f64.powf(most.log10().ceil())
}

/// A scale of equal distances, from zero.
fn linear((least, most): (f64, f64)) -> std::ops::Range<f64> {
    least.min(0.0)..if most > 0.0 { most * 1.05 } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(ratios: bool, points: &[(f64, f64)]) -> String {
        let format = |value: f64| value.to_string();
        let axis = |name| Axis { name, ratios, format: &format };
        let line = Line {
            name: "a < b".to_owned(),
            colour: 9,
            points: points.to_vec(),
            doubtful: points[..points.len().min(1)].to_vec(),
        };
        Plot { x: axis("x"), y: axis("y"), lines: vec![line] }.figure()
    }

    #[test]
    fn a_plot_has_a_line_for_what_can_be_drawn() {
        let figure = plot(true, &[(1.0, 0.0), (1.0, 10.0), (100.0, f64::NAN), (1000.0, 20.0)]);
        assert!(figure.contains("<svg") && figure.contains("<polyline") && figure.contains("a &lt; b"), "{figure}");
        assert!(!figure.contains("http"), "{figure}");
        for (ratios, points) in [(true, &[][..]), (true, &[(0.0, 1.0)]), (false, &[(f64::NAN, 1.0)])] {
            assert!(plot(ratios, points).contains("Nothing was measured"), "{points:?}");
        }
        // One point, and a line that is zero all along.
        for (ratios, points) in [(true, &[(5.0, 5.0)][..]), (false, &[(0.0, 0.0)]), (false, &[(0.0, 0.0), (1.0, 0.0)])]
        {
            assert!(plot(ratios, points).contains("<svg"), "{points:?}");
        }
    }

    #[test]
    fn a_doubtful_point_is_a_ring() {
        let figure = plot(false, &[(1.0, 2.0), (3.0, 4.0), (5.0, 6.0)]);
        let circles: Vec<&str> = figure.split("<circle").skip(1).collect();
        assert_eq!(circles.len(), 3, "{figure}");
        let hollow: Vec<bool> = circles.iter().map(|circle| circle.contains("fill=\"none\"")).collect();
        assert_eq!(hollow, [true, false, false], "{figure}");
    }

    #[test]
    fn what_a_server_or_a_user_says_is_text() {
        let page = page("<a>&\"", &table([["<b>"], ["&"]]));
        assert!(
            page.contains("&lt;a&gt;&amp;&quot;")
                && page.contains("<th>&lt;b&gt;</th>")
                && page.contains("<td>&amp;</td>")
        );
    }
}
