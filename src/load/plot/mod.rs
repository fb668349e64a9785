//! Lines over a common axis, drawn as SVG: in a page, or as a picture that stands for itself.
//!
//! ```text
//!   scale   which value lies where, and which values are written beside an axis
//!   look    colours, dashes and marks: how lines are told apart
//! ```
//!
//! This is drawn here, although a library beats own code in what the project does not teach. `plotters` drew it before, in two thirds
//! of the lines. But the pages then told lines apart by colour alone: its SVG has no dashes (a dashed line is one element for each
//! dash), no `<title>` and `<desc>` for readers who do not see it, no key that runs over several rows, and no names at the ends of
//! lines. All of that would be own code beside it, and what is left for the library are two axes.

mod look;
mod scale;

pub(super) use scale::Scale;

use super::page::escaped;
use look::{Look, MARK};
use scale::Range;
use std::fmt::Write as _;

const WIDTH: f64 = 860.0;
/// Of the axes and what is between them.
const HEIGHT: f64 = 340.0;
/// Room beside the axes: for values and names at the left and below, for the names of lines at the right.
const LEFT: f64 = 82.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 48.0;
const RIGHT: f64 = 28.0;
const NAMES: f64 = 160.0;

/// A line of text, and the title of a picture.
const LINE: f64 = 22.0;
const TITLE: f64 = 34.0;
/// Of a name in the key: what is drawn before it, and a letter.
const KEY_SAMPLE: f64 = 52.0;
const KEY_LETTER: f64 = 7.5;
const MARGIN: f64 = 16.0;

/// The longest name that fits at the end of its line.
const MAX_NAME: usize = 18;
/// Lines of so many points or fewer have marks: what was measured is told from what is in between.
const FEW: usize = 12;

const NAME_SPACE: &str = " xmlns=\"http://www.w3.org/2000/svg\"";

/// As a page's: ink on whatever paper the picture lies on.
const PICTURE_STYLE: &str = "text{fill:#1d2228;font-family:system-ui,sans-serif}[stroke=\"#000000\"]{stroke:#1d2228}\
@media(prefers-color-scheme:dark){text{fill:#e3e7ec}[stroke=\"#000000\"]{stroke:#e3e7ec}}";

/// Lines over a common axis.
pub(super) struct Plot<'a> {
    /// The quantity that it shows, in a few words.
    pub(super) title: String,
    pub(super) x: Axis<'a>,
    pub(super) y: Axis<'a>,
    pub(super) lines: Vec<Line>,
}

/// The quantity of one axis, and how its values are placed and written.
pub(super) struct Axis<'a> {
    pub(super) name: &'a str,
    pub(super) scale: Scale,
    pub(super) format: &'a dyn Fn(f64) -> String,
}

/// One line, with the looks of its number.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) look: usize,
    pub(super) points: Vec<(f64, f64)>,
    /// Those of them that mean less than they seem to: a hollow mark.
    pub(super) doubtful: Vec<(f64, f64)>,
}

/// The axes of a plot, and where they are in the picture.
struct Frame {
    x: Range,
    y: Range,
    right: f64,
}

impl Frame {
    fn at(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (LEFT + self.x.place(x) * (self.right - LEFT), HEIGHT - BOTTOM - self.y.place(y) * (HEIGHT - BOTTOM - TOP))
    }
}

impl Plot<'_> {
    /// The plot with its key, as a part of a page. Lines without points are left out; a plot without lines says that there is
    /// nothing.
    pub(super) fn figure(&self) -> String {
        match self.drawn() {
            Some((svg, height)) => format!(
                "<figure>\n<svg role=\"img\" viewBox=\"0 0 {WIDTH} {height}\">\n{}{svg}</svg>\n</figure>\n",
                self.described()
            ),
            None => "<p class=\"faint\">Nothing was measured.</p>\n".to_owned(),
        }
    }

    /// The plot with its title above it and its key, as a file of its own. `None`: there is nothing to draw.
    pub(super) fn picture(&self) -> Option<String> {
        let (svg, height) = self.drawn()?;
        let (height, title) = (height + TITLE, escaped(&self.title));
        Some(format!(
            "<svg{NAME_SPACE} role=\"img\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\">\n{}\
             <style>{PICTURE_STYLE}</style>\n\
             <text x=\"{MARGIN}\" y=\"24\" font-size=\"16\" font-weight=\"600\">{title}</text>\n\
             <g transform=\"translate(0 {TITLE})\">\n{svg}</g>\n</svg>\n",
            self.described()
        ))
    }

    /// The words for a reader who does not see the plot: the title, the axes, and the values.
    fn described(&self) -> String {
        let axis = |axis: &Axis<'_>| format!("{} ({})", axis.name, axis.scale.as_str());
        let mut text = format!("{} over {}.", axis(&self.y), axis(&self.x));
        for line in &self.lines {
            let points: Vec<_> = line.points.iter().filter(|point| self.fits(**point)).collect();
            let Some(((first, _), (last, _))) = points.first().zip(points.last()) else { continue };
            let _ = write!(text, " {}: ", line.name);
            if points.len() <= FEW {
                let said = points.iter().map(|point| {
                    let doubtful = if line.doubtful.contains(point) { " (hollow mark)" } else { "" };
                    format!("{} at {}{doubtful}", (self.y.format)(point.1), (self.x.format)(point.0))
                });
                text += &said.collect::<Vec<_>>().join(", ");
            } else {
                let least = points.iter().map(|point| point.1).fold(f64::INFINITY, f64::min);
                let most = points.iter().map(|point| point.1).fold(f64::NEG_INFINITY, f64::max);
                let [first, last] = [*first, *last].map(|x| (self.x.format)(x));
                let [least, most] = [least, most].map(|y| (self.y.format)(y));
                let _ = write!(text, "between {least} and {most}, from {first} to {last}");
            }
            text.push('.');
        }
        format!("<title>{}</title>\n<desc>{}</desc>\n", escaped(&self.title), escaped(&text))
    }

    /// Everything inside the SVG, and how high it is; `None` without points.
    fn drawn(&self) -> Option<(String, f64)> {
        let all = || self.lines.iter().flat_map(|line| &line.points).filter(|point| self.fits(**point));
        let x = Range::of(self.x.scale, all().map(|point| point.0))?;
        let y = Range::of(self.y.scale, all().map(|point| point.1))?;
        let named = self.drawn_lines().count() > 1;
        let frame = Frame { x, y, right: WIDTH - if named { NAMES } else { RIGHT } };
        let mut svg = String::new();
        self.draw_axes(&frame, &mut svg);
        for line in self.drawn_lines() {
            self.draw_line(line, &frame, &mut svg);
        }
        if named {
            self.draw_names(&frame, &mut svg);
        }
        let height = self.draw_key(&mut svg);
        Some((svg, height))
    }

    /// Whether a point can be drawn: a scale of ratios has no place for zero.
    fn fits(&self, (x, y): (f64, f64)) -> bool {
        self.x.scale.fits(x) && self.y.scale.fits(y)
    }

    fn draw_axes(&self, frame: &Frame, svg: &mut String) {
        let (bottom, right) = (HEIGHT - BOTTOM, frame.right);
        let grid = "stroke=\"#888888\" stroke-opacity=\"0.3\"";
        for value in frame.y.labels() {
            let y = frame.at((0.0, value)).1;
            let label = escaped(&(self.y.format)(value));
            let _ = writeln!(svg, "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\" {grid}/>");
            let (x, y) = (LEFT - 8.0, y + 5.0);
            let _ = writeln!(svg, "<text x=\"{x}\" y=\"{y:.1}\" font-size=\"14\" text-anchor=\"end\">{label}</text>");
        }
        for value in frame.x.labels() {
            let x = frame.at((value, 0.0)).0;
            let label = escaped(&(self.x.format)(value));
            let _ = writeln!(svg, "<line x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom}\" {grid}/>");
            let y = bottom + 18.0;
            let _ =
                writeln!(svg, "<text x=\"{x:.1}\" y=\"{y}\" font-size=\"14\" text-anchor=\"middle\">{label}</text>");
        }
        let _ = writeln!(
            svg,
            "<polyline points=\"{LEFT},{TOP} {LEFT},{bottom} {right},{bottom}\" fill=\"none\" stroke=\"#000000\"/>"
        );
        let name = |axis: &Axis<'_>| escaped(&format!("{} ({})", axis.name, axis.scale.as_str()));
        let (x, y) = (f64::midpoint(LEFT, right), bottom + 40.0);
        let centred = "font-size=\"14\" text-anchor=\"middle\"";
        let _ = writeln!(svg, "<text x=\"{x}\" y=\"{y}\" {centred}>{}</text>", name(&self.x));
        let y = f64::midpoint(TOP, bottom);
        let _ = writeln!(svg, "<text transform=\"translate(16 {y}) rotate(-90)\" {centred}>{}</text>", name(&self.y));
    }

    fn draw_line(&self, line: &Line, frame: &Frame, svg: &mut String) {
        let look = Look(line.look);
        let few = line.points.len() <= FEW;
        // A moment without a value is a gap, not a way from one value to the next.
        for points in line.points.split(|point| !self.fits(*point)).filter(|points| !points.is_empty()) {
            let at = |point: &(f64, f64)| frame.at(*point);
            let places: Vec<String> = points.iter().map(at).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            let _ = writeln!(svg, "<polyline points=\"{}\" {}/>", places.join(" "), look.stroke());
            if few || points.len() == 1 {
                for point in points {
                    let (x, y) = frame.at(*point);
                    let size = if few { MARK } else { MARK / 2.0 };
                    *svg += &look.mark(x, y, size, line.doubtful.contains(point));
                }
            }
        }
    }

    /// The name of each line where it ends, moved up or down if there is another.
    fn draw_names(&self, frame: &Frame, svg: &mut String) {
        const APART: f64 = 16.0;
        let end = |line: &'_ Line| line.points.iter().rfind(|point| self.fits(**point)).map(|point| frame.at(*point));
        let mut names: Vec<_> = self.drawn_lines().filter_map(|line| Some((end(line)?, line))).collect();
        names.sort_by(|((_, one), _), ((_, other), _)| one.total_cmp(other));
        // Downwards as far as it takes, and back if that is too far.
        let mut places: Vec<f64> = Vec::new();
        for ((_, y), _) in &names {
            places.push(places.last().map_or(*y, |last| y.max(last + APART)).max(TOP));
        }
        let mut limit = HEIGHT - BOTTOM;
        for place in places.iter_mut().rev() {
            *place = place.min(limit);
            limit = *place - APART;
        }
        for (((x, y), line), place) in names.into_iter().zip(places) {
            let look = Look(line.look);
            let (from, to) = (x + MARK + 2.0, frame.right + 14.0);
            let colour = look.colour();
            let _ = writeln!(
                svg,
                "<line x1=\"{from:.1}\" y1=\"{y:.1}\" x2=\"{to:.1}\" y2=\"{place:.1}\" stroke=\"{colour}\" stroke-opacity=\"0.5\"/>"
            );
            *svg += &look.mark(to + 7.0, place, MARK * 0.8, false);
            let (x, y, name) = (to + 16.0, place + 4.5, escaped(short_name(&line.name)));
            let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"13\">{name}</text>");
        }
    }

    /// Below the plot: what each line looks like, and its whole name. Tells where the picture ends.
    fn draw_key(&self, svg: &mut String) -> f64 {
        let (mut x, mut y) = (MARGIN, HEIGHT + LINE);
        for line in self.drawn_lines() {
            let width = KEY_SAMPLE + KEY_LETTER * line.name.chars().count() as f64 + MARGIN;
            if x > MARGIN && x + width > WIDTH {
                (x, y) = (MARGIN, y + LINE);
            }
            let (look, middle, end) = (Look(line.look), y - 5.0, x + 40.0);
            let _ = writeln!(svg, "<polyline points=\"{x:.1},{middle} {end:.1},{middle}\" {}/>", look.stroke());
            *svg += &look.mark(x + 20.0, middle, MARK, false);
            let (text, name) = (x + KEY_SAMPLE - 4.0, escaped(&line.name));
            let _ = writeln!(svg, "<text x=\"{text:.1}\" y=\"{y}\" font-size=\"14\">{name}</text>");
            x += width;
        }
        y + LINE / 2.0
    }

    fn drawn_lines(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| line.points.iter().any(|point| self.fits(*point)))
    }
}

/// A name as it fits at the end of a line: as far as its first pause.
fn short_name(name: &str) -> &str {
    let short = name.split([',', '(']).next().unwrap_or_default().trim();
    short.char_indices().nth(MAX_NAME).map_or(short, |(end, _)| &short[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, look: usize, points: &[(f64, f64)]) -> Line {
        Line { name: name.to_owned(), look, points: points.to_vec(), doubtful: Vec::new() }
    }

    fn plot(scale: Scale, lines: Vec<Line>) -> Plot<'static> {
        let axis = |name| Axis { name, scale, format: &|value: f64| value.to_string() };
        Plot { title: "a & b".to_owned(), x: axis("x"), y: axis("y"), lines }
    }

    #[test]
    fn a_plot_has_a_line_for_what_can_be_drawn() {
        let points = [(1.0, 0.0), (1.0, 10.0), (100.0, f64::NAN), (1000.0, 20.0)];
        let figure = plot(Scale::Ratios, vec![line("a < b", 9, &points)]).figure();
        assert!(figure.contains("<svg") && figure.contains("<polyline") && figure.contains("a &lt; b"), "{figure}");
        assert!(!figure.contains("http"), "{figure}");
        for (scale, points) in
            [(Scale::Ratios, &[][..]), (Scale::Ratios, &[(0.0, 1.0)]), (Scale::Linear, &[(f64::NAN, 1.0)])]
        {
            let figure = plot(scale, vec![line("a", 0, points)]).figure();
            assert!(figure.contains("Nothing was measured"), "{points:?}");
        }
        // One point, and a line that is zero all along.
        for (scale, points) in [
            (Scale::Ratios, &[(5.0, 5.0)][..]),
            (Scale::Linear, &[(0.0, 0.0)]),
            (Scale::Linear, &[(0.0, 0.0), (1.0, 0.0)]),
        ] {
            let figure = plot(scale, vec![line("a", 0, points)]).figure();
            assert!(figure.contains("<svg") && !figure.contains("NaN") && !figure.contains("inf"), "{figure}");
        }
    }

    #[test]
    fn a_picture_has_its_name_space_once_and_a_key_that_fits() {
        let points = [(1.0, 2.0), (3.0, 4.0)];
        let name = |look: usize| format!("a name as long as some are: {look}");
        let picture = plot(Scale::Linear, (0..7).map(|look| line(&name(look), look, &points)).collect());
        let picture = picture.picture().unwrap();
        assert_eq!(picture.matches("xmlns").count(), 1, "{picture}");
        assert!(picture.contains("a &amp; b") && picture.ends_with("</svg>\n"), "{picture}");
        for look in 0..7 {
            assert_eq!(picture.matches(&format!(">{}</text>", name(look))).count(), 1, "{picture}");
        }
        let lefts =
            picture.lines().filter(|line| line.ends_with("</text>") && line.contains("a name as long as some are: "));
        let lefts: Vec<f64> = lefts.map(|line| line.split('"').nth(1).unwrap().parse().unwrap()).collect();
        assert!(lefts.len() == 7 && lefts.iter().all(|x| x + 200.0 < WIDTH), "{lefts:?}");
        assert!(plot(Scale::Linear, Vec::new()).picture().is_none());
    }

    #[test]
    fn a_doubtful_point_is_hollow() {
        let points = [(1.0, 2.0), (3.0, 4.0), (5.0, 6.0)];
        let doubtful = vec![points[0]];
        let figure = plot(Scale::Linear, vec![Line { doubtful, ..line("a", 0, &points) }]).figure();
        let marks = figure.split("<circle").skip(1).filter_map(|rest| rest.split("/>").next());
        let hollow: Vec<bool> = marks.map(|mark| mark.contains("fill=\"none\"")).collect();
        // The last one is in the key.
        assert_eq!(hollow, [true, false, false, false], "{figure}");
        assert!(figure.contains("2 at 1 (hollow mark), 4 at 3, 6 at 5."), "{figure}");
    }

    #[test]
    fn a_reader_who_does_not_see_it_is_told_the_values() {
        let many: Vec<(f64, f64)> = (0..=20).map(|x| (f64::from(x), f64::from(x * x))).collect();
        let lines = vec![line("few, to the point", 0, &[(1.0, 2.0), (2.0, 3.0)]), line("many", 1, &many)];
        let figure = plot(Scale::Linear, lines).figure();
        assert!(figure.contains("<title>a &amp; b</title>"), "{figure}");
        let said = "<desc>y (linear) over x (linear). few, to the point: 2 at 1, 3 at 2. many: between 0 and 400, from 0 to 20.";
        assert!(figure.contains(said), "{figure}");
        // And one who sees no colours is told by the name at each end.
        assert!(figure.contains(">few</text>") && figure.matches(">many</text>").count() == 2, "{figure}");
    }

    #[test]
    fn names_at_the_same_place_do_not_cover_each_other() {
        let lines = (0..7).map(|look| line(&format!("line {look}"), look, &[(1.0, 5.0), (2.0, 0.0)])).collect();
        let figure = plot(Scale::Linear, lines).figure();
        let names = figure.lines().filter(|line| line.contains("font-size=\"13\""));
        let mut places: Vec<f64> = names.map(|line| line.split('"').nth(3).unwrap().parse().unwrap()).collect();
        places.sort_by(f64::total_cmp);
        assert_eq!(places.len(), 7);
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] >= 15.9), "{places:?}");
        assert!(places.iter().all(|y| (0.0..HEIGHT - 30.0).contains(y)), "{places:?}");
    }
}
