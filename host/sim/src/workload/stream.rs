//! Random numbers: a stream for every purpose, with the same bits on every machine.

use std::f64::consts::TAU;

use rand::RngExt;
use rand::rngs::ChaCha8Rng;

/// Random numbers for one purpose. Streams of other purposes and of other seeds have nothing to do with it.
///
/// The generator is ChaCha8, which is documented as portable, and logarithms are libm's: those of `std` may differ
/// between platforms, and so may rand_distr, which takes them from `std` wherever some other crate asks for that.
pub(super) struct Stream(ChaCha8Rng);

impl Stream {
    /// The stream of a purpose, which has a name of 1 to 24 bytes.
    pub(super) fn new(seed: u64, purpose: &'static str) -> Stream {
        Stream(crate::stream(seed, purpose))
    }

    /// Uniform from 0 to 1, without 1.
    pub(super) fn unit(&mut self) -> f64 {
        self.0.random()
    }

    /// Exponential with mean 1.
    pub(super) fn exponential(&mut self) -> f64 {
        -libm::log(self.unit_above_zero())
    }

    /// Normal with mean 0 and deviation 1 (Box and Muller 1958).
    pub(super) fn normal(&mut self) -> f64 {
        let radius = (2.0 * self.exponential()).sqrt();
        radius * libm::cos(TAU * self.unit())
    }

    /// Gamma with this shape, which is positive, and scale 1: its mean is its shape.
    pub(super) fn gamma(&mut self, shape: f64) -> f64 {
        if shape < 1.0 {
            let boost = libm::pow(self.unit_above_zero(), 1.0 / shape);
            return self.gamma_from_one(shape + 1.0) * boost;
        }
        self.gamma_from_one(shape)
    }

    /// Marsaglia and Tsang 2000, for shapes from 1 on.
    fn gamma_from_one(&mut self, shape: f64) -> f64 {
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let (normal, unit) = (self.normal(), self.unit_above_zero());
            let root = 1.0 + c * normal;
            let cube = root * root * root;
            if root > 0.0 && libm::log(unit) < normal * normal / 2.0 + d * (1.0 - cube + libm::log(cube)) {
                return d * cube;
            }
        }
    }

    /// Uniform from 0 to 1, without 0.
    fn unit_above_zero(&mut self) -> f64 {
        1.0 - self.unit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: usize = 200_000;

    /// Mean and standard deviation of many draws.
    fn moments(mut draw: impl FnMut() -> f64) -> (f64, f64) {
        let values: Vec<f64> = (0..DRAWS).map(|_| draw()).collect();
        let mean = values.iter().sum::<f64>() / DRAWS as f64;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / DRAWS as f64;
        (mean, variance.sqrt())
    }

    fn near(found: f64, expected: f64, tolerance: f64) -> bool {
        (found - expected).abs() <= tolerance
    }

    #[test]
    fn exponential_and_normal_have_their_moments() {
        let mut stream = Stream::new(1, "test");
        let (mean, deviation) = moments(|| stream.exponential());
        assert!(near(mean, 1.0, 0.01) && near(deviation, 1.0, 0.02), "{mean} {deviation}");
        let (mean, deviation) = moments(|| stream.normal());
        assert!(near(mean, 0.0, 0.01) && near(deviation, 1.0, 0.01), "{mean} {deviation}");
        let beyond = (0..DRAWS).filter(|_| stream.normal() > 1.96).count() as f64 / DRAWS as f64;
        assert!(near(beyond, 0.025, 0.002), "{beyond}");
    }

    #[test]
    fn gamma_has_its_shape_as_mean_and_as_variance() {
        let mut stream = Stream::new(2, "test");
        for shape in [0.1, 0.5, 1.0, 2.5, 40.0] {
            let (mean, deviation) = moments(|| stream.gamma(shape));
            assert!(near(mean, shape, 0.03 * shape), "shape {shape}: mean {mean}");
            assert!(near(deviation, shape.sqrt(), 0.03 * shape.sqrt()), "shape {shape}: deviation {deviation}");
        }
    }

    #[test]
    fn streams_differ_by_purpose_and_by_seed_only() {
        let first = |seed, purpose| Stream::new(seed, purpose).unit();
        assert_eq!(first(7, "gaps"), first(7, "gaps"));
        assert_ne!(first(7, "gaps"), first(7, "sizes"));
        assert_ne!(first(7, "gaps"), first(8, "gaps"));
    }
}
