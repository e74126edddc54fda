//! Pictures made here, and what becomes of them.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, GrayImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use kvasm_sdk::{Command, Db, ErrorKind};
use png::chunk::IDAT;
use png::{BitDepth, ColorType};

use super::{Fault, keep_thumbnail, make_thumbnail, picture, thumbnail};

/// Red grows to the right and green downwards, up to this value.
const BRIGHTEST: u32 = 240;

fn gradient(width: u32, height: u32) -> RgbImage {
    let part = |at, of| (at * BRIGHTEST / of) as u8;
    RgbImage::from_fn(width, height, |x, y| Rgb([part(x, width), part(y, height), 60]))
}

fn jpeg(image: impl Into<DynamicImage>) -> Vec<u8> {
    let mut bytes = Vec::new();
    image.into().write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, 95)).unwrap();
    bytes
}

fn png(image: impl Into<DynamicImage>) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// A JPEG whose header has another marker for its kind, and another size.
fn relabelled(mut picture: Vec<u8>, marker: u8, (width, height): (u16, u16)) -> Vec<u8> {
    let at = picture.windows(2).position(|bytes| bytes == [0xff, 0xc0]).unwrap();
    picture[at + 1] = marker;
    picture[at + 5..at + 7].copy_from_slice(&height.to_be_bytes());
    picture[at + 7..at + 9].copy_from_slice(&width.to_be_bytes());
    picture
}

/// A PNG without pixels.
fn png_header(width: u32, height: u32, interlaced: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut info = png::Info::with_size(width, height);
    (info.color_type, info.bit_depth, info.interlaced) = (ColorType::Rgb, BitDepth::Eight, interlaced);
    let encoder = png::Encoder::with_info(&mut bytes, info).unwrap();
    let mut writer = encoder.write_header().unwrap();
    writer.write_chunk(IDAT, &[]).unwrap();
    drop(writer);
    bytes
}

fn made(picture: &[u8]) -> RgbImage {
    let bytes = thumbnail(picture).unwrap();
    assert_eq!(image::guess_format(&bytes).unwrap(), ImageFormat::Jpeg);
    image::load_from_memory(&bytes).unwrap().to_rgb8()
}

/// Lossy, hence not the same.
fn assert_close(found: Rgb<u8>, expected: [u8; 3]) {
    let far = found.0.iter().zip(&expected).any(|(found, expected)| found.abs_diff(*expected) > 8);
    assert!(!far, "{found:?}, not {expected:?}");
}

#[test]
fn a_thumbnail_has_the_proportions_of_its_picture_and_is_never_larger() {
    let check = |size: (u32, u32), expected: (u32, u32)| {
        for bytes in [jpeg(gradient(size.0, size.1)), png(gradient(size.0, size.1))] {
            assert_eq!(made(&bytes).dimensions(), expected, "{size:?}");
        }
    };
    check((1600, 1200), (200, 150));
    check((300, 900), (67, 200));
    check((1000, 1000), (200, 200));
    check((201, 201), (200, 200));
    check((200, 10), (200, 10));
    check((1, 1), (1, 1));
    check((3000, 2), (200, 1));
    check((1, 1000), (1, 200));
}

#[test]
fn colors_stay_where_they_were() {
    for bytes in [jpeg(gradient(1600, 1200)), png(gradient(1600, 1200)), png(gradient(403, 301))] {
        let thumbnail = made(&bytes);
        let (right, below) = (thumbnail.width() - 1, thumbnail.height() - 1);
        let most = BRIGHTEST as u8;
        assert_close(thumbnail[(0, 0)], [0, 0, 60]);
        assert_close(thumbnail[(right, 0)], [most, 0, 60]);
        assert_close(thumbnail[(0, below)], [0, most, 60]);
        assert_close(thumbnail[(right / 2, below / 2)], [most / 2, most / 2, 60]);
    }
}

#[test]
fn gray_pictures_are_pictures() {
    let gray = GrayImage::from_fn(600, 400, |x, _| [(x * BRIGHTEST / 600) as u8].into());
    let deep = DynamicImage::from(gray.clone()).into_luma16();
    for bytes in [jpeg(gray.clone()), png(gray), png(deep)] {
        assert_close(made(&bytes)[(100, 60)], [120; 3]);
    }
}

#[test]
fn what_is_transparent_becomes_white() {
    let image = RgbaImage::from_fn(800, 600, |x, _| Rgba([200, 0, 0, [0, 128, 255][x as usize / 267]]));
    let thumbnail = made(&png(image));
    assert_close(thumbnail[(20, 75)], [255, 255, 255]);
    assert_close(thumbnail[(100, 75)], [227, 127, 127]);
    assert_close(thumbnail[(180, 75)], [200, 0, 0]);
    let gray = image::GrayAlphaImage::from_pixel(300, 300, image::LumaA([0, 0]));
    assert_close(made(&png(gray))[(100, 100)], [255, 255, 255]);
}

#[test]
fn a_picture_taken_sideways_is_turned_upright() {
    let picture = jpeg(gradient(800, 400));
    // A segment of Exif data in big-endian order, with one entry: the orientation, "turn right by 90 degrees".
    let exif = b"\xff\xe1\0\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let turned = [&picture[..2], exif, &picture[2..]].concat();
    let thumbnail = made(&turned);
    assert_eq!(thumbnail.dimensions(), (100, 200));
    assert_close(thumbnail[(99, 0)], [0, 0, 60]);
    assert_close(thumbnail[(0, 199)], [BRIGHTEST as u8, BRIGHTEST as u8, 60]);
}

/// The rows of an interlaced picture: seven rounds, each with its first column and row and its steps.
const ROUNDS: [[usize; 4]; 7] =
    [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]];

#[test]
fn interlaced_pictures_are_pictures() {
    let (image, size) = (gradient(120, 80), (120, 80));
    let mut rows = Vec::new();
    for [left, top, across, down] in ROUNDS {
        for y in (top..size.1).step_by(down) {
            rows.push(0); // not filtered
            rows.extend((left..size.0).step_by(across).flat_map(|x| image[(x as u32, y as u32)].0));
        }
    }
    let length = u16::try_from(rows.len()).unwrap();
    // A zlib stream of one block that is not compressed; its checksum is not looked at.
    let head = [&[0x78, 1, 1][..], &length.to_le_bytes(), &(!length).to_le_bytes()].concat();
    let mut bytes = Vec::new();
    let mut info = png::Info::with_size(120, 80);
    (info.color_type, info.bit_depth, info.interlaced) = (ColorType::Rgb, BitDepth::Eight, true);
    let mut writer = png::Encoder::with_info(&mut bytes, info).unwrap().write_header().unwrap();
    writer.write_chunk(IDAT, &[&head, &rows[..], &[0; 4]].concat()).unwrap();
    drop(writer);
    let thumbnail = made(&bytes);
    assert_eq!(thumbnail.dimensions(), (120, 80));
    assert_close(thumbnail[(60, 40)], [120, 120, 60]);
}

#[test]
fn what_is_no_picture_is_refused_with_a_reason() {
    let check = |bytes: &[u8], expected: &str| {
        let fault = thumbnail(bytes).unwrap_err();
        assert_eq!(format!("img:42{fault}"), format!("img:42 is no JPEG or PNG picture: {expected}"));
    };
    let (jpeg, png) = (jpeg(gradient(300, 200)), png(gradient(300, 200)));
    check(b"", "it begins like neither");
    check(b"GIF89a", "it begins like neither");
    for length in [4, 100, jpeg.len() / 2, jpeg.len() - 20] {
        check(&jpeg[..length], "it ends too early");
    }
    for length in [8, 30, png.len() / 2] {
        check(&png[..length], "it ends too early");
    }
    let mut damaged = png.clone();
    damaged[png.len() / 2] ^= 1;
    assert!(matches!(thumbnail(&damaged), Err(Fault::Unreadable(_))));
    let gray = self::jpeg(GrayImage::new(300, 200));
    check(&relabelled(gray, 0xc3, (300, 200)), "lossless JPEG is not supported");
}

#[test]
fn no_bytes_make_it_panic() {
    let pictures = [jpeg(gradient(40, 30)), png(gradient(40, 30))];
    for picture in pictures {
        for at in 0..picture.len() {
            let mut damaged = picture.clone();
            damaged[at] ^= 1 << (at % 8);
            let _ = thumbnail(&damaged);
        }
    }
}

#[test]
fn bombs_are_refused_before_anything_is_decoded() {
    let check = |bytes: &[u8], expected: &str| {
        assert_eq!(format!("img:42{}", thumbnail(bytes).unwrap_err()), expected);
    };
    let small = jpeg(gradient(16, 16));
    let bomb = "img:42: 30000 x 30000 pixels is more than 24 megapixels";
    check(&png_header(30_000, 30_000, false), bomb);
    check(&relabelled(small.clone(), 0xc0, (30_000, 30_000)), bomb);
    check(&png_header(65_536, 1, false), "img:42: 65536 x 1 pixels: an edge is longer than 65535");
    // The largest that there may be is not refused for its size.
    let largest = Fault::TooLarge { size: (6000, 4000) };
    assert_ne!(thumbnail(&png_header(6000, 4000, false)), Err(largest));
    assert!(thumbnail(&relabelled(small.clone(), 0xc0, (6000, 4000))).is_ok());
    check(
        &relabelled(small, 0xc2, (4000, 3000)),
        "img:42: 4000 x 3000 pixels is too much for a progressive JPEG, of which 8.3 megapixels fit into memory",
    );
    check(
        &png_header(6000, 4000, true),
        "img:42: 6000 x 4000 pixels is too much for an interlaced PNG, of which 8.3 megapixels fit into memory",
    );
}

#[test]
fn the_longest_edge_of_a_thumbnail_is_200() {
    for size in [(1, 65_535), (65_535, 1), (6000, 4000), (4001, 4000), (201, 200)] {
        let (width, height) = picture::fit(size);
        assert_eq!(width.max(height), 200, "{size:?}");
        assert!(width >= 1 && height >= 1);
    }
}

#[test]
fn a_thumbnail_comes_and_goes_with_its_picture() {
    let mut db = Db::test();
    db.install::<keep_thumbnail>();
    let (first, second) = (jpeg(gradient(400, 300)), png(gradient(300, 400)));
    db.execute(Command::new("SET").arg("img:42").arg(&first)).unwrap();
    assert_eq!(db.get(b"thumb:42"), thumbnail(&first).ok());
    db.execute(Command::new("SET").arg("img:42").arg(&second)).unwrap();
    assert_eq!(db.get(b"thumb:42"), thumbnail(&second).ok());
    db.execute(Command::new("RENAME").args(["img:42", "img:43"])).unwrap();
    assert_eq!(db.get(b"thumb:43"), thumbnail(&second).ok());
    assert!(!db.exists(b"thumb:42"));
    db.execute(Command::new("PEXPIRE").args(["img:43", "10"])).unwrap();
    db.advance(core::time::Duration::from_millis(10));
    assert!(!db.exists(b"thumb:43"));
    db.execute(Command::new("SET").arg("img:1").arg(&first)).unwrap();
    db.execute(Command::new("DEL").arg("img:1")).unwrap();
    assert!(!db.exists(b"thumb:1"));
    db.execute(Command::new("SET").args(["img:1", "text"])).unwrap();
    assert!(!db.exists(b"thumb:1"), "who stores something else is not stopped, but gets no thumbnail");
}

#[test]
fn a_thumbnail_can_be_asked_for() {
    let mut db = Db::test();
    let picture = jpeg(gradient(400, 300));
    db.put(b"photo", &picture);
    let reply = db.call::<make_thumbnail>(&[b"photo", b"small"], &[]).unwrap();
    assert_eq!(db.get(b"small"), thumbnail(&picture).ok());
    assert_eq!(reply.as_integer(), db.length(b"small").map(|length| length as i64));
    assert_eq!(db.call::<make_thumbnail>(&[b"none", b"small"], &[]), Ok(kvasm_sdk::Reply::Nil));
    db.put(b"photo", b"text");
    let error = db.call::<make_thumbnail>(&[b"photo", b"small"], &[]).unwrap_err();
    db.put(b"a\nb", b"text");
    let odd = db.call::<make_thumbnail>(&[b"a\nb", b"small"], &[]).unwrap_err();
    assert_eq!(odd.text(), "PICTURE a\\nb is no JPEG or PNG picture: it begins like neither");
    assert_eq!(error.text(), "PICTURE photo is no JPEG or PNG picture: it begins like neither");
    assert_ne!(error.kind(), ErrorKind::WrongType);
}

#[test]
fn the_thumbnail_that_the_readme_shows_is_the_one_that_is_made() {
    let (example, shown) = (include_bytes!("../example.jpg"), include_bytes!("../example-thumbnail.jpg"));
    assert!(
        thumbnail(example).as_deref() == Ok(shown),
        "cargo run -p thumbnail --example scene makes them anew"
    );
}
