//! PNG pictures: `png`, the decoder behind `image`, row by row, so that the whole picture is never in memory.

use std::io::{self, Cursor};

use image::metadata::Orientation;
use png::{Decoder, DecodingError, Limits, Reader, Transformations};

use crate::picture::{Decoded, Fault, MAX_BUFFERED_BYTES, check_buffer, check_size, unreadable};
use crate::shrink::Shrinker;

/// How a picture of this format begins.
pub const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// A picture, each of its rows shrunk as soon as it is decoded.
pub fn decode(picture: &[u8]) -> Result<Decoded, Fault> {
    let mut decoder =
        Decoder::new_with_limits(Cursor::new(picture), Limits { bytes: MAX_BUFFERED_BYTES as usize });
    decoder.set_transformations(Transformations::normalize_to_color8());
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let header = decoder.read_header_info().map_err(|error| fault(&error))?;
    let size = header.size();
    check_size(size)?;
    let mut reader = decoder.read_info().map_err(|error| fault(&error))?;
    let channels = reader.output_color_type().0.samples();
    let mut shrinker = Shrinker::new(size, channels);
    if reader.info().interlaced {
        // Its rows come in seven rounds. The file may be as large as the pixels.
        check_buffer("an interlaced PNG", size, 2 * channels as u64)?;
        whole(&mut reader)?.chunks_exact(size.0 as usize * channels).for_each(|row| shrinker.add(row));
    } else {
        while let Some(row) = reader.next_row().map_err(|error| fault(&error))? {
            shrinker.add(row.data());
        }
    }
    let orientation = reader.info().exif_metadata.as_deref().and_then(Orientation::from_exif_chunk);
    let orientation = orientation.unwrap_or(Orientation::NoTransforms);
    Ok(Decoded { size, pixels: shrinker.finish(), orientation })
}

fn fault(error: &DecodingError) -> Fault {
    let ends_early =
        matches!(error, DecodingError::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof);
    unreadable(error, ends_early)
}

/// All rows, one after the other.
fn whole(reader: &mut Reader<Cursor<&[u8]>>) -> Result<Vec<u8>, Fault> {
    let too_large = || Fault::Unreadable("it does not fit into memory".to_owned());
    let mut pixels = vec![0; reader.output_buffer_size().ok_or_else(too_large)?];
    reader.next_frame(&mut pixels).map_err(|error| fault(&error))?;
    Ok(pixels)
}
