//! Averages a picture while its rows come in, by a whole number of pixels, to not much more than the thumbnail needs.

use image::RgbImage;

use crate::picture::fit;

/// What has come of a picture so far.
pub struct Shrinker {
    /// Width and height of the squares of pixels of which each becomes one.
    factor: usize,
    channels: usize,
    /// Size of the result. What is left over at the right and below is less than a pixel of it.
    width: usize,
    height: usize,
    /// Red, green and blue of the squares that are being read, from left to right, and how many rows they have.
    sums: Vec<[u32; 3]>,
    rows: usize,
    pixels: Vec<u8>,
}

impl Shrinker {
    /// For a picture of this size whose rows have so many bytes a pixel: gray, gray with alpha, RGB, or RGB with alpha.
    pub fn new((width, height): (u32, u32), channels: usize) -> Self {
        let target = fit((width, height));
        let factor = (width / target.0).min(height / target.1).max(1) as usize;
        let (width, height) = (width as usize / factor, height as usize / factor);
        let pixels = Vec::with_capacity(3 * width * height);
        Self { factor, channels, width, height, sums: vec![[0; 3]; width], rows: 0, pixels }
    }

    /// Takes the next row.
    pub fn add(&mut self, row: &[u8]) {
        match self.channels {
            1 => self.sum(row, |[gray]| [gray; 3]),
            2 => self.sum(row, |[gray, alpha]| [over_white(gray, alpha); 3]),
            3 => self.sum(row, |rgb| rgb),
            _ => self.sum(row, |[red, green, blue, alpha]| match alpha {
                u8::MAX => [red, green, blue],
                _ => [red, green, blue].map(|color| over_white(color, alpha)),
            }),
        }
        self.rows += 1;
        if self.rows == self.factor {
            self.flush();
        }
    }

    #[inline]
    fn sum<const CHANNELS: usize>(&mut self, row: &[u8], rgb: impl Fn([u8; CHANNELS]) -> [u8; 3]) {
        let (pixels, _) = row.as_chunks();
        for (sum, pixels) in self.sums.iter_mut().zip(pixels.chunks_exact(self.factor)) {
            let [mut red, mut green, mut blue] = *sum;
            for pixel in pixels {
                let rgb = rgb(*pixel);
                red += u32::from(rgb[0]);
                green += u32::from(rgb[1]);
                blue += u32::from(rgb[2]);
            }
            *sum = [red, green, blue];
        }
    }

    fn flush(&mut self) {
        let area = (self.factor * self.factor) as u32;
        for sum in &mut self.sums {
            self.pixels.extend(sum.map(|color| (color / area) as u8));
            *sum = [0; 3];
        }
        self.rows = 0;
    }

    /// The shrunk picture; rows that did not come are black.
    pub fn finish(mut self) -> RgbImage {
        self.pixels.resize(3 * self.width * self.height, 0);
        RgbImage::from_raw(self.width as u32, self.height as u32, self.pixels).unwrap_or_default()
    }
}

fn over_white(color: u8, alpha: u8) -> u8 {
    let (color, alpha) = (u32::from(color), u32::from(alpha));
    ((color * alpha + 255 * (255 - alpha)) / 255) as u8
}
