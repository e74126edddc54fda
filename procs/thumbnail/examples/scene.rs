//! Draws the picture that the README shows, and has its thumbnail made:
//! `cargo run --release -p thumbnail --example scene`.

use std::f32::consts::TAU;
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::{Rgb, RgbImage};

const WIDTH: u32 = 1200;
const HEIGHT: u32 = 800;
const QUALITY: u8 = 82;

/// Where the lake begins, and the middle of the sun, in parts of the height and width.
const SHORE: f32 = 0.66;
const SUN: (f32, f32) = (0.62, 0.4);

type Color = [f32; 3];
const ZENITH: Color = [38.0, 52.0, 105.0];
const HORIZON: Color = [252.0, 176.0, 112.0];
const SUNLIGHT: Color = [255.0, 240.0, 196.0];
const FAR: Color = [170.0, 120.0, 122.0];
const NEAR: Color = [22.0, 26.0, 44.0];

/// Ridges from the farthest to the nearest: height above the shore, waves across the picture, seed.
const RIDGES: &[(f32, f32, f32)] = &[(0.26, 1.6, 0.3), (0.2, 2.3, 4.1), (0.13, 3.1, 7.7), (0.06, 5.3, 2.9)];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let scene = RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
        let (x, y) = (x as f32 / WIDTH as f32, y as f32 / HEIGHT as f32);
        let color = if y < SHORE { land(x, y) } else { lake(x, y) };
        Rgb(color.map(|part| part.round() as u8))
    });
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut picture = Vec::new();
    scene.write_with_encoder(JpegEncoder::new_with_quality(&mut picture, QUALITY))?;
    let thumbnail = thumbnail::thumbnail(&picture).map_err(|fault| format!("example.jpg{fault}"))?;
    std::fs::write(directory.join("example.jpg"), picture)?;
    std::fs::write(directory.join("example-thumbnail.jpg"), thumbnail)?;
    Ok(())
}

/// The sky and, before it, the mountains: the nearer, the darker.
fn land(x: f32, y: f32) -> Color {
    let behind = RIDGES.iter().rposition(|(height, waves, seed)| {
        let ridge = SHORE - height * (0.45 + 0.55 * rugged(x * waves + seed));
        y > ridge
    });
    match behind {
        Some(ridge) => mix(FAR, NEAR, (ridge as f32 + (y / SHORE).powi(3)) / RIDGES.len() as f32),
        None => sky(x, y),
    }
}

fn sky(x: f32, y: f32) -> Color {
    let color = mix(ZENITH, HORIZON, (y / SHORE).powf(1.4));
    let across = (x - SUN.0) * WIDTH as f32 / HEIGHT as f32;
    let distance = across.hypot(y - SUN.1);
    let glow = if distance < 0.06 { 1.0 } else { 0.8 * (-(distance - 0.06) * 6.0).exp() };
    mix(color, SUNLIGHT, glow)
}

/// The land upside down, broken by waves that are longer where they are nearer.
fn lake(x: f32, y: f32) -> Color {
    let depth = y - SHORE;
    let wave = (depth.powf(0.4) * 90.0 + 0.6 * (x * 23.0).sin()).sin();
    let mirrored = land(x + wave * depth * 0.03, SHORE - depth * 1.6 - wave * depth * 0.05);
    mix(mirrored, NEAR, 0.15 + depth)
}

/// A line between 0 and 1 that is rough at every scale.
fn rugged(x: f32) -> f32 {
    let octaves = (0..7).map(|octave| {
        let scale = 2_f32.powi(octave);
        (x * scale * TAU + octave as f32 * 1.7 + (x * scale * 2.6).sin()).sin() * 0.56_f32.powi(octave)
    });
    0.5 + octaves.sum::<f32>() / 4.2
}

fn mix(from: Color, to: Color, part: f32) -> Color {
    let part = part.clamp(0.0, 1.0);
    [0, 1, 2].map(|index| from[index] + (to[index] - from[index]) * part)
}
