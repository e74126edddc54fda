//! JPEG pictures: `jpeg-decoder`, because it can decode at an eighth, a quarter or half of the size, which takes a
//! fraction of the time and memory. `image` would decode every pixel first.

use std::io;

use image::RgbImage;
use image::metadata::Orientation;
use jpeg_decoder::{CodingProcess, Decoder, Error, PixelFormat};

use crate::picture::{Decoded, Fault, MAX_BUFFERED_BYTES, check_buffer, check_size, fit, unreadable};

/// How a picture of this format begins.
pub const SIGNATURE: &[u8] = b"\xff\xd8\xff";

/// A picture decoded at the smallest of the decoder's scales that leaves enough for its thumbnail.
pub fn decode(picture: &[u8]) -> Result<Decoded, Fault> {
    let mut decoder = Decoder::new(picture);
    decoder.set_max_decoding_buffer_size(MAX_BUFFERED_BYTES as usize);
    decoder.read_info().map_err(|error| fault(&error))?;
    let info = decoder.info().ok_or_else(headless)?;
    let size = (u32::from(info.width), u32::from(info.height));
    check_size(size)?;
    match info.coding_process {
        CodingProcess::DctSequential => {}
        // All coefficients of a picture, of two bytes each, have to be there before the first pixel is known.
        CodingProcess::DctProgressive => {
            check_buffer("a progressive JPEG", size, 2 * info.pixel_format.pixel_bytes() as u64)?;
        }
        CodingProcess::Lossless => {
            return Err(Fault::Unreadable("lossless JPEG is not supported".to_owned()));
        }
    }
    // One edge that is large enough satisfies the decoder: let it be the longer one.
    let target = fit(size);
    let (width, height) =
        if size.0 < size.1 { (u16::MAX, target.1 as u16) } else { (target.0 as u16, u16::MAX) };
    decoder.scale(width, height).map_err(|error| fault(&error))?;
    let pixels = decoder.decode().map_err(|error| fault(&error))?;
    let info = decoder.info().ok_or_else(headless)?;
    let pixels = match info.pixel_format {
        PixelFormat::RGB24 => pixels,
        PixelFormat::L8 => pixels.iter().flat_map(|gray| [*gray; 3]).collect(),
        PixelFormat::CMYK32 => pixels.chunks_exact(4).flat_map(print_to_screen).collect(),
        PixelFormat::L16 => return Err(headless()),
    };
    let pixels = RgbImage::from_raw(info.width.into(), info.height.into(), pixels).ok_or_else(headless)?;
    let orientation = decoder.exif_data().and_then(Orientation::from_exif_chunk);
    Ok(Decoded { size, pixels, orientation: orientation.unwrap_or(Orientation::NoTransforms) })
}

/// Red, green and blue of cyan, magenta, yellow and black, all of them inverted, as such files and the decoder have them.
fn print_to_screen(inks: &[u8]) -> [u8; 3] {
    let black = u16::from(inks[3]);
    [0, 1, 2].map(|ink| (u16::from(inks[ink]) * black / 255) as u8)
}

fn headless() -> Fault {
    Fault::Unreadable("it has no header".to_owned())
}

fn fault(error: &Error) -> Fault {
    let ends_early = matches!(error, Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof);
    unreadable(error, ends_early)
}
