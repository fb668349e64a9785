//! Which value lies where on an axis, and which values are written beside it.

/// How distances on an axis are meant. It belongs to the kind of quantity, not to the values of one plot: two plots of the same
/// quantity can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::load) enum Scale {
    /// Equal distances are equal differences, from zero.
    Linear,
    /// Equal distances are equal ratios; zero and less have no place.
    Ratios,
}

/// Labels on a linear axis, about.
const LABELS: f64 = 5.0;
/// With more powers of ten than this on an axis, only those are written beside it; else 2 and 5 times each as well.
const DECADES: f64 = 2.5;

/// An axis from its first to its last value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Range {
    scale: Scale,
    low: f64,
    high: f64,
    /// Linear: from one label to the next.
    step: f64,
}

impl Scale {
    /// In words, for the axis.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Ratios => "logarithmic",
        }
    }

    /// Whether a value has a place.
    pub(super) fn fits(self, value: f64) -> bool {
        value.is_finite() && (self == Self::Linear || value > 0.0)
    }
}

impl Range {
    /// An axis on which all values that fit have a place; `None` if none does.
    pub(super) fn of(scale: Scale, values: impl Iterator<Item = f64>) -> Option<Self> {
        let extend = |range: Option<(f64, f64)>, value: f64| {
            Some(range.map_or((value, value), |(least, most)| (least.min(value), most.max(value))))
        };
        let (least, most) = values.filter(|value| scale.fits(*value)).fold(None, extend)?;
        Some(match scale {
            Scale::Linear => {
                let most = if most > 0.0 { most } else { 1.0 };
                let least = least.min(0.0);
                let step = round((most - least) / LABELS, f64::ceil);
                Self { scale, low: (least / step).floor() * step, high: (most / step).ceil() * step, step }
            }
            Scale::Ratios => {
                let (low, high) = (round(least, f64::floor), round(most, f64::ceil));
                // One value alone lies in the middle of something.
                let (low, high) = if low < high { (low, high) } else { (low / 2.0, high * 2.0) };
                Self { scale, low, high, step: 0.0 }
            }
        })
    }

    /// Where a value lies: 0 is the first, 1 the last.
    pub(super) fn place(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Ratios => (value / self.low).log10() / (self.high / self.low).log10(),
        }
    }

    /// The values that are written beside it.
    pub(super) fn labels(&self) -> Vec<f64> {
        match self.scale {
            Scale::Linear => {
                let count = ((self.high - self.low) / self.step).round() as u32;
                (0..=count).map(|at| self.low + f64::from(at) * self.step).collect()
            }
            Scale::Ratios => {
                let factors: &[f64] = if (self.high / self.low).log10() > DECADES { &[1.0] } else { &[1.0, 2.0, 5.0] };
                let powers = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
                let all = powers.flat_map(|power| factors.iter().map(move |factor| factor * 10_f64.powi(power)));
                // A value that was rounded to a label may miss it by the last digit.
                all.filter(|value| (self.low * 0.999..=self.high * 1.001).contains(value)).collect()
            }
        }
    }
}

/// The next of 1, 2 or 5 times a power of ten, in the direction of `to`.
fn round(value: f64, to: fn(f64) -> f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let digit = value / power;
    let up = to(0.5) > 0.0;
    // A value that is one of them but for the last digit is one of them.
    let near = |step: f64| (digit / step - 1.0).abs() < 1e-9;
    let steps = [1.0, 2.0, 5.0, 10.0];
    let exact = steps.iter().copied().find(|step| near(*step));
    let next = steps.iter().copied().find(|step| *step > digit).unwrap_or(10.0);
    let last = steps.iter().copied().rfind(|step| *step < digit).unwrap_or(1.0);
    exact.unwrap_or(if up { next } else { last }) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(scale: Scale, values: &[f64]) -> Option<Range> {
        Range::of(scale, values.iter().copied())
    }

    #[test]
    fn a_linear_axis_begins_at_zero_and_ends_at_a_label() {
        for (values, labels) in [
            (&[3.0, 97.0][..], &[0.0, 20.0, 40.0, 60.0, 80.0, 100.0][..]),
            (&[151_600.0], &[0.0, 50_000.0, 100_000.0, 150_000.0, 200_000.0]),
            (&[0.0], &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
            (&[1.0], &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        ] {
            let range = range(Scale::Linear, values).unwrap();
            let near = range.labels().iter().zip(labels).all(|(got, expected)| (got - expected).abs() < 1e-6);
            assert!(near && range.labels().len() == labels.len(), "{values:?}: {:?}", range.labels());
            assert_eq!((range.place(0.0), range.place(*labels.last().unwrap())), (0.0, 1.0));
        }
    }

    #[test]
    fn an_axis_of_ratios_gives_each_factor_the_same_room() {
        for (values, labels) in [
            (&[1.0, 10.0, 100.0, 1000.0][..], &[1.0, 10.0, 100.0, 1000.0][..]),
            (&[6.3, 29.7], &[5.0, 10.0, 20.0, 50.0]),
            (&[90.0, 101.0], &[50.0, 100.0, 200.0]),
            (&[5.0], &[2.5, 5.0, 10.0][1..]),
            (&[0.0, f64::NAN, 3.0, 400.0], &[2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0]),
        ] {
            let range = range(Scale::Ratios, values).unwrap();
            let near = range.labels().iter().zip(labels).all(|(got, expected)| (got / expected - 1.0).abs() < 1e-6);
            assert!(near && range.labels().len() == labels.len(), "{values:?}: {:?}", range.labels());
        }
        let range = range(Scale::Ratios, &[1.0, 1000.0]).unwrap();
        assert!((range.place(10.0) - 1.0 / 3.0).abs() < 1e-9 && range.place(1.0).abs() < 1e-9);
        assert_eq!(super::Range::of(Scale::Ratios, [0.0, -1.0, f64::INFINITY].into_iter()), None);
        assert_eq!(super::Range::of(Scale::Linear, std::iter::empty()), None);
    }
}
