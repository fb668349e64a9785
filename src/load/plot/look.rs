//! How lines are told apart: by colour, by dashes, by their marks and by the name at their end. Each of the four is enough, so
//! that it does not matter who cannot see which.

/// As far from each other as eight colours can be for eyes with all three kinds of cones, and for those that lack one, on white
/// and on near black.
const COLOURS: [&str; 8] = ["#1a98ff", "#c02b1a", "#127e65", "#8422ff", "#78a02f", "#ff008f", "#d858d0", "#aa21bd"];

/// Lengths of dash and gap, in turn; the first is drawn through.
const DASHES: [&str; 8] = ["", "10 4", "2 3", "10 3 2 3", "6 3", "14 3 6 3", "4 2 1 2", "1 5"];

/// Corners of marks, in parts of their size; a circle has none.
const MARKS: [&[(f64, f64)]; 8] = [
    &[],
    &[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
    &[(0.0, -1.2), (1.1, 0.8), (-1.1, 0.8)],
    &[(0.0, -1.3), (1.0, 0.0), (0.0, 1.3), (-1.0, 0.0)],
    &[(0.0, 1.2), (1.1, -0.8), (-1.1, -0.8)],
    &[(1.2, 0.0), (-0.8, 1.1), (-0.8, -1.1)],
    &[(-1.2, 0.0), (0.8, 1.1), (0.8, -1.1)],
    &[
        (-0.4, -1.2),
        (0.4, -1.2),
        (0.4, -0.4),
        (1.2, -0.4),
        (1.2, 0.4),
        (0.4, 0.4),
        (0.4, 1.2),
        (-0.4, 1.2),
        (-0.4, 0.4),
        (-1.2, 0.4),
        (-1.2, -0.4),
        (-0.4, -0.4),
    ],
];

/// The size of a mark, in pixels from its middle.
pub(super) const MARK: f64 = 5.0;

/// The looks of one line, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look(pub(super) usize);

impl Look {
    pub(super) fn colour(self) -> &'static str {
        COLOURS[self.0 % COLOURS.len()]
    }

    /// Attributes of a stroke.
    pub(super) fn stroke(self) -> String {
        let dashes = DASHES[self.0 % DASHES.len()];
        let dashes = if dashes.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{dashes}\"") };
        format!("fill=\"none\" stroke=\"{}\" stroke-width=\"2\"{dashes}", self.colour())
    }

    /// A mark. A hollow one stands for a value that means less than it seems to.
    pub(super) fn mark(self, x: f64, y: f64, size: f64, hollow: bool) -> String {
        let colour = self.colour();
        let paint = match hollow {
            true => format!("fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\""),
            false => format!("fill=\"{colour}\""),
        };
        match MARKS[self.0 % MARKS.len()] {
            [] => format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{size:.1}\" {paint}/>\n"),
            corners => {
                let at = |(dx, dy): &(f64, f64)| format!("{:.1},{:.1}", x + dx * size, y + dy * size);
                let points: Vec<String> = corners.iter().map(at).collect();
                format!("<polygon points=\"{}\" {paint}/>\n", points.join(" "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_of_eight_lines_has_its_own_colour_dash_and_mark() {
        let looks = || (0..8).map(Look);
        let all = |of: &dyn Fn(Look) -> String| looks().map(of).collect::<BTreeSet<_>>().len();
        assert_eq!(all(&|look| look.colour().to_owned()), 8);
        assert_eq!(all(&|look| look.stroke().replace(look.colour(), "")), 8);
        assert_eq!(all(&|look| look.mark(10.0, 10.0, MARK, false).replace(look.colour(), "")), 8);
    }

    /// The eye's three kinds of cones, of which the first, the second or the third is missing: what is left of a colour in
    /// linear light (Machado, Oliveira and Fernandes 2009).
    const BLIND: [[[f64; 3]; 3]; 3] = [
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    ];

    /// Red, green and blue as light.
    fn light(colour: &str) -> [f64; 3] {
        [1, 3, 5].map(|at| {
            let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        })
    }

    /// In a space where distance is difference to the eye (Oklab, Ottosson 2020).
    fn seen(light: [f64; 3]) -> [f64; 3] {
        let [r, g, b] = light.map(|part| part.clamp(0.0, 1.0));
        let l = (0.412_221_470_8 * r + 0.536_332_536_3 * g + 0.051_445_992_9 * b).cbrt();
        let m = (0.211_903_498_2 * r + 0.680_699_545_1 * g + 0.107_396_956_6 * b).cbrt();
        let s = (0.088_302_461_9 * r + 0.281_718_837_6 * g + 0.629_978_700_5 * b).cbrt();
        [
            0.210_454_255_3 * l + 0.793_617_785_0 * m - 0.004_072_046_8 * s,
            1.977_998_495_1 * l - 2.428_592_205_0 * m + 0.450_593_709_9 * s,
            0.025_904_037_1 * l + 0.782_771_766_2 * m - 0.808_675_766_0 * s,
        ]
    }

    #[test]
    fn colours_differ_for_every_eye_and_show_on_every_paper() {
        let without =
            |cones: &[[f64; 3]; 3], light: [f64; 3]| cones.map(|row| row.iter().zip(light).map(|(a, b)| a * b).sum());
        for eye in [None, Some(&BLIND[0]), Some(&BLIND[1]), Some(&BLIND[2])] {
            let seen = COLOURS.map(|colour| seen(eye.map_or(light(colour), |eye| without(eye, light(colour)))));
            for (at, one) in seen.iter().enumerate() {
                for other in &seen[at + 1..] {
                    let distance: f64 = one.iter().zip(other).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
                    assert!(distance > 0.09, "{eye:?}: {} and another: {distance}", COLOURS[at]);
                }
            }
        }
        // WCAG 2.1, 1.4.11: three to one against what is beside it.
        let luminance = |colour: &str| {
            let [r, g, b] = light(colour);
            0.2126 * r + 0.7152 * g + 0.0722 * b
        };
        let dark = luminance("#15191e");
        for colour in COLOURS {
            let own = luminance(colour);
            assert!(1.05 / (own + 0.05) >= 3.0 && (own + 0.05) / (dark + 0.05) >= 3.0, "{colour}");
        }
    }
}
