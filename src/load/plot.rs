//! Lines over a common axis, drawn as SVG: in a page, or as a picture that stands for itself.

use super::page::escaped;
use plotters::{
    coord::ranged1d::{AsRangedCoord, ValueFormatter},
    prelude::*,
};
use std::fmt::Write as _;

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

/// Of a picture: what is beside and above the plot, and a line of its key.
const MARGIN: u32 = 16;
const TITLE: u32 = 34;
const LINE: u32 = 24;
/// The width of a name in the key: that of the bar before it, and of a letter.
const KEY_LINE: u32 = 46;
const KEY_LETTER: u32 = 8;

const NAME_SPACE: &str = " xmlns=\"http://www.w3.org/2000/svg\"";

/// As a page's: ink on whatever paper the picture lies on.
const PICTURE_STYLE: &str = "text{fill:#1d2228;font-family:system-ui,sans-serif}[stroke=\"#000000\"]{stroke:#1d2228}\
@media(prefers-color-scheme:dark){text{fill:#e3e7ec}[stroke=\"#000000\"]{stroke:#e3e7ec}}";

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

impl Plot<'_> {
    /// The plot with its key, as a part of a page. Lines without points are left out; a plot without lines says that there is
    /// nothing.
    pub(super) fn figure(&self) -> String {
        match self.drawn() {
            // Inside a page an SVG has its name space; the attribute would only look like a reference.
            Some(Ok(svg)) => format!("<figure>\n{}</figure>\n{}", svg.replacen(NAME_SPACE, "", 1), self.key()),
            Some(Err(error)) => format!("<p class=\"faint\">Not drawn: {}</p>\n", escaped(&error)),
            None => "<p class=\"faint\">Nothing was measured.</p>\n".to_owned(),
        }
    }

    /// The plot with a title and its key, as a file of its own. `None`: there is nothing to draw.
    pub(super) fn picture(&self, title: &str) -> Option<Result<String, String>> {
        let svg = match self.drawn()? {
            Ok(svg) => svg.replacen(NAME_SPACE, "", 1).replacen("<svg ", &format!("<svg y=\"{TITLE}\" "), 1),
            error => return Some(error),
        };
        let (mut key, mut x, mut y) = (String::new(), MARGIN, TITLE + HEIGHT + LINE);
        for line in self.drawn_lines() {
            let width = KEY_LINE + KEY_LETTER * u32::try_from(line.name.chars().count()).unwrap_or(WIDTH);
            if x > MARGIN && x + width > WIDTH {
                (x, y) = (MARGIN, y + LINE);
            }
            let (colour, bar, text, name) = (css(line), y - 6, x + 28, escaped(&line.name));
            let _ = writeln!(key, "<rect x=\"{x}\" y=\"{bar}\" width=\"20\" height=\"3\" fill=\"{colour}\"/>");
            let _ = writeln!(key, "<text x=\"{text}\" y=\"{y}\" font-size=\"14\">{name}</text>");
            x += width;
        }
        let (height, title) = (y + LINE / 2, escaped(title));
        Some(Ok(format!(
            "<svg{NAME_SPACE} width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\">\n\
             <style>{PICTURE_STYLE}</style>\n\
             <text x=\"{MARGIN}\" y=\"{LINE}\" font-size=\"16\" font-weight=\"600\">{title}</text>\n{svg}{key}</svg>\n"
        )))
    }

    /// The plot as SVG, or what went wrong; `None` without points.
    fn drawn(&self) -> Option<Result<String, String>> {
        let points = self.lines.iter().flat_map(|line| line.points.iter().copied());
        let all: Vec<(f64, f64)> = points.filter(|point| self.fits(*point)).collect();
        let x = self.x.range(all.iter().map(|point| point.0))?;
        let y = self.y.range(all.iter().map(|point| point.1))?;
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
        Some(drawn.map(|()| svg))
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
        for line in self.drawn_lines() {
            let (colour, name) = (css(line), escaped(&line.name));
            let _ = write!(out, "<span><i style=\"background:{colour}\"></i>{name}</span>");
        }
        out + "</p>\n"
    }

    fn drawn_lines(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| !line.points.is_empty())
    }
}

/// A line's colour, as style sheets name it.
fn css(line: &Line) -> String {
    let RGBColor(r, g, b) = COLOURS[line.colour % COLOURS.len()];
    format!("#{r:02x}{g:02x}{b:02x}")
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
    fn a_picture_has_its_name_space_once_and_a_key_that_fits() {
        let format = |value: f64| value.to_string();
        let axis = |name| Axis { name, ratios: false, format: &format };
        let line = |colour: usize| Line {
            name: format!("a name as long as some are: {colour}"),
            colour,
            points: vec![(1.0, 2.0), (3.0, 4.0)],
            doubtful: Vec::new(),
        };
        let plot = Plot { x: axis("x"), y: axis("y"), lines: (0..7).map(line).collect() };
        let picture = plot.picture("a & b").unwrap().unwrap();
        assert_eq!(picture.matches("xmlns").count(), 1, "{picture}");
        assert!(picture.contains("a &amp; b") && picture.ends_with("</svg>\n"), "{picture}");
        let bars: Vec<&str> =
            picture.split("<rect x=\"").skip(1).filter(|rect| rect.contains("height=\"3\"")).collect();
        assert_eq!(bars.len(), 7, "{picture}");
        let left = |bar: &&str| bar.split_once('"').unwrap().0.parse::<u32>().unwrap();
        assert!(
            bars.iter().map(left).all(|x| x + 200 < WIDTH) && bars.iter().filter(|bar| left(bar) == MARGIN).count() > 1
        );
        assert!(Plot { x: axis("x"), y: axis("y"), lines: Vec::new() }.picture("").is_none());
    }

    #[test]
    fn a_doubtful_point_is_a_ring() {
        let figure = plot(false, &[(1.0, 2.0), (3.0, 4.0), (5.0, 6.0)]);
        let circles: Vec<&str> = figure.split("<circle").skip(1).collect();
        assert_eq!(circles.len(), 3, "{figure}");
        let hollow: Vec<bool> = circles.iter().map(|circle| circle.contains("fill=\"none\"")).collect();
        assert_eq!(hollow, [true, false, false], "{figure}");
    }
}
