//! From the bytes of a picture to those of its thumbnail. It knows nothing of keys.

use core::fmt;

use image::codecs::jpeg::JpegEncoder;
use image::imageops::{self, FilterType};
use image::metadata::Orientation;
use image::{DynamicImage, RgbImage};

use crate::{jpeg, png};

/// The longest edge of a thumbnail in pixels.
pub const THUMBNAIL_EDGE: u32 = 200;
/// The most pixels of a picture: it bounds the time.
pub const MAX_PIXELS: u64 = 24_000_000;
/// The longest edge of a picture in pixels, as far as JPEG reaches: it bounds the rows.
pub const MAX_EDGE: u32 = 65_535;
/// The most bytes held of a picture that cannot be decoded row by row: it bounds the memory.
pub const MAX_BUFFERED_BYTES: u64 = 48 << 20;

/// Quality of thumbnails, up to 100.
const QUALITY: u8 = 80;

/// A picture, shrunk while it was decoded to not much more than the thumbnail needs.
pub struct Decoded {
    /// Width and height of the whole picture.
    pub size: (u32, u32),
    pub pixels: RgbImage,
    /// How the camera was held.
    pub orientation: Orientation,
}

/// Why a picture has no thumbnail, as text that goes on after the name of the picture.
#[derive(Debug, PartialEq)]
pub enum Fault {
    /// Neither of the formats, or broken.
    Unreadable(String),
    /// Nobody should wait for so large a picture.
    TooLarge {
        /// Width and height in pixels.
        size: (u32, u32),
    },
    /// Too large for a picture of its kind, which cannot be decoded row by row.
    TooLargeToBuffer {
        /// The kind, with an article.
        kind: &'static str,
        /// Width and height in pixels.
        size: (u32, u32),
        /// The pixels that a picture of its kind may have.
        max_pixels: u64,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Rounded down, so that nothing below it is refused.
        let megapixels = |pixels: u64| (pixels / 100_000) as f64 / 10.0;
        match self {
            Self::Unreadable(reason) => write!(formatter, " is no JPEG or PNG picture: {reason}"),
            Self::TooLarge { size: (width, height) } if *width.max(height) > MAX_EDGE => {
                write!(formatter, ": {width} x {height} pixels: an edge is longer than {MAX_EDGE}")
            }
            Self::TooLarge { size: (width, height) } => {
                let most = megapixels(MAX_PIXELS);
                write!(formatter, ": {width} x {height} pixels is more than {most} megapixels")
            }
            Self::TooLargeToBuffer { kind, size: (width, height), max_pixels } => {
                let most = megapixels(*max_pixels);
                write!(
                    formatter,
                    ": {width} x {height} pixels is too much for {kind}, of which {most} megapixels fit into memory"
                )
            }
        }
    }
}

/// A JPEG of at most `THUMBNAIL_EDGE` pixels in width and height, upright, with the picture's proportions; what was
/// transparent is white. A small picture keeps its size.
pub fn thumbnail(picture: &[u8]) -> Result<Vec<u8>, Fault> {
    let decoded = if picture.starts_with(jpeg::SIGNATURE) {
        jpeg::decode(picture)?
    } else if picture.starts_with(png::SIGNATURE) {
        png::decode(picture)?
    } else {
        return Err(Fault::Unreadable("it begins like neither".to_owned()));
    };
    let (width, height) = fit(decoded.size);
    // Decoding leaves less than twice the size of most: too little to average whole pixels.
    let mut scaled =
        DynamicImage::from(imageops::resize(&decoded.pixels, width, height, FilterType::Triangle));
    scaled.apply_orientation(decoded.orientation);
    let mut bytes = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut bytes, QUALITY);
    scaled.write_with_encoder(encoder).map_err(|error| Fault::Unreadable(error.to_string()))?;
    Ok(bytes)
}

/// The size of the thumbnail of a picture of this size.
pub fn fit((width, height): (u32, u32)) -> (u32, u32) {
    let longest = width.max(height);
    if longest <= THUMBNAIL_EDGE {
        return (width, height);
    }
    let scaled = |edge: u32| {
        let rounded =
            (u64::from(edge) * u64::from(THUMBNAIL_EDGE) + u64::from(longest / 2)) / u64::from(longest);
        (rounded as u32).max(1)
    };
    (scaled(width), scaled(height))
}

/// Refuses a picture that would take too long, before anything of it is decoded.
pub fn check_size(size: (u32, u32)) -> Result<(), Fault> {
    let (width, height) = size;
    let pixels = u64::from(width) * u64::from(height);
    if pixels > MAX_PIXELS || width.max(height) > MAX_EDGE { Err(Fault::TooLarge { size }) } else { Ok(()) }
}

/// Refuses a picture of a kind that must be held as a whole, at so many bytes a pixel.
pub fn check_buffer(kind: &'static str, size: (u32, u32), bytes_per_pixel: u64) -> Result<(), Fault> {
    let max_pixels = MAX_BUFFERED_BYTES / bytes_per_pixel;
    if u64::from(size.0) * u64::from(size.1) > max_pixels {
        return Err(Fault::TooLargeToBuffer { kind, size, max_pixels });
    }
    Ok(())
}

/// A decoder's reason, without the parts that only programmers understand.
pub fn unreadable(reason: &impl fmt::Display, ends_early: bool) -> Fault {
    Fault::Unreadable(if ends_early { "it ends too early".to_owned() } else { reason.to_string() })
}
