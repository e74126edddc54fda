//! Places on the earth as numbers: 52 bits in which those of longitude and latitude take turns, so that what is near is
//! mostly near as a number too.
//!
//! All constants and the order of all floating-point operations are those of Redis, because the digits of the results
//! must be.

/// Bits of the longitude and of the latitude in a position.
const STEPS: u32 = 26;
/// The mean radius of the earth in metres.
const EARTH_RADIUS_M: f64 = 6_372_797.560_856;
/// Half the circumference of the earth in metres, where the Mercator projection ends.
const MERCATOR_MAX_M: f64 = 20_037_726.37;
/// Degrees in radians.
const RADIANS_PER_DEGREE: f64 = std::f64::consts::PI / 180.0;
/// The digits of a geohash in text.
const BASE32: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
/// The length of a geohash in text.
const TEXT_LEN: usize = 11;

/// The latitudes that positions can have: those of the Mercator projection.
const LATITUDES: Range = Range { min: -85.051_128_78, max: 85.051_128_78 };
const LONGITUDES: Range = Range { min: -180.0, max: 180.0 };
/// The latitudes of geohashes in text.
const ALL_LATITUDES: Range = Range { min: -90.0, max: 90.0 };

/// A point in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// East of Greenwich, from -180 to 180.
    pub longitude: f64,
    /// North of the equator, from -85.05112878 to 85.05112878.
    pub latitude: f64,
}

/// An area around a point, in metres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Area {
    /// All points that are so near.
    Circle {
        /// At most this distance from the centre.
        radius_m: f64,
    },
    /// All points that are so near in both directions.
    Box {
        /// From west to east.
        width_m: f64,
        /// From south to north.
        height_m: f64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Range {
    min: f64,
    max: f64,
}

/// A cell and its neighbours, by columns to the east and rows to the north, as Redis visits them.
const NEIGHBOURHOOD: [(i32, i32); 9] =
    [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)];

/// A cell of the grid that divides the earth in 2^steps columns and as many rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    /// From west to east.
    column: u32,
    /// From south to north.
    row: u32,
    steps: u32,
}

impl Point {
    /// A point; `None` if it is out of range.
    #[must_use]
    pub fn new(longitude: f64, latitude: f64) -> Option<Self> {
        let is_within = |value: f64, range: Range| (range.min..=range.max).contains(&value);
        (is_within(longitude, LONGITUDES) && is_within(latitude, LATITUDES))
            .then_some(Self { longitude, latitude })
    }

    /// The point in the middle of the cell that a score stands for. Any number gives some point.
    #[must_use]
    pub fn from_score(score: f64) -> Self {
        let bits = score as i64 as u64;
        let cell = Cell { column: deinterleave(bits >> 1), row: deinterleave(bits), steps: STEPS };
        let (longitude, latitude) = (cell.longitudes(), cell.latitudes());
        let middle = |of: Range, within: Range| f64::midpoint(of.min, of.max).min(within.max).max(within.min);
        Self { longitude: middle(longitude, LONGITUDES), latitude: middle(latitude, LATITUDES) }
    }

    /// The score that stands for the cell in which the point is.
    #[must_use]
    pub fn score(self) -> f64 {
        Cell::at(self, LATITUDES, STEPS).bits() as f64
    }

    /// The geohash as others write it.
    #[must_use]
    pub fn geohash(self) -> String {
        let bits = Cell::at(self, ALL_LATITUDES, STEPS).bits();
        let digit = |place: usize| {
            // The 52 bits end in the middle of the last digit, which is always zero.
            let value = if place == TEXT_LEN - 1 { 0 } else { bits >> (52 - 5 * (place + 1)) & 0x1f };
            char::from(BASE32[value as usize])
        };
        (0..TEXT_LEN).map(digit).collect()
    }

    /// The distance in metres on a sphere, by the haversine formula.
    #[must_use]
    pub fn distance_m(self, other: Self) -> f64 {
        let [latitude, other_latitude] = [self.latitude, other.latitude].map(radians);
        let u = ((other_latitude - latitude) / 2.0).sin();
        let v = ((radians(other.longitude) - radians(self.longitude)) / 2.0).sin();
        let a = u * u + latitude.cos() * other_latitude.cos() * v * v;
        2.0 * EARTH_RADIUS_M * a.sqrt().asin()
    }
}

impl Area {
    /// The distance of a point from the centre in metres, if the point is in the area.
    #[must_use]
    pub fn distance_m(self, centre: Point, point: Point) -> Option<f64> {
        let is_within = match self {
            Self::Circle { radius_m } => centre.distance_m(point) <= radius_m,
            Self::Box { width_m, height_m } => {
                let same_latitude = Point { longitude: centre.longitude, latitude: point.latitude };
                let same_longitude = Point { longitude: point.longitude, latitude: centre.latitude };
                point.distance_m(same_latitude) <= width_m / 2.0
                    && point.distance_m(same_longitude) <= height_m / 2.0
            }
        };
        is_within.then(|| centre.distance_m(point))
    }

    /// Ranges of scores, from the first one up to but without the second, that have all points of the area, and in
    /// the order in which Redis visits them.
    #[must_use]
    pub fn scores(self, centre: Point) -> Vec<(f64, f64)> {
        let (longitudes, latitudes) = self.bounds(centre);
        let mut cell = Cell::at(centre, LATITUDES, self.steps(centre));
        let is_too_small = |cell: &Cell| {
            cell.moved(0, 1).latitudes().max < latitudes.max
                || cell.moved(0, -1).latitudes().min > latitudes.min
                || cell.moved(1, 0).longitudes().max < longitudes.max
                || cell.moved(-1, 0).longitudes().min > longitudes.min
        };
        if cell.steps > 1 && is_too_small(&cell) {
            cell = Cell::at(centre, LATITUDES, cell.steps - 1);
        }
        // Neighbours on a side to which the area does not reach are left out, unless the cells are very large.
        let is_wanted = |east: i32, north: i32| {
            let (own_longitudes, own_latitudes) = (cell.longitudes(), cell.latitudes());
            cell.steps < 2
                || !(north < 0 && own_latitudes.min < latitudes.min
                    || north > 0 && own_latitudes.max > latitudes.max
                    || east < 0 && own_longitudes.min < longitudes.min
                    || east > 0 && own_longitudes.max > longitudes.max)
        };
        let mut cells: Vec<Cell> = Vec::with_capacity(NEIGHBOURHOOD.len());
        for (east, north) in NEIGHBOURHOOD {
            let neighbour = cell.moved(east, north);
            // Around the largest cells the neighbours on both sides are the same.
            let is_repeated = cells.len() > 1 && cells.last() == Some(&neighbour);
            if is_wanted(east, north) && !is_repeated {
                cells.push(neighbour);
            }
        }
        cells.into_iter().map(Cell::scores).collect()
    }

    /// Longitudes and latitudes that the area reaches.
    fn bounds(self, centre: Point) -> (Range, Range) {
        let (half_width_m, half_height_m) = match self {
            Self::Circle { radius_m } => (radius_m, radius_m),
            Self::Box { width_m, height_m } => (width_m / 2.0, height_m / 2.0),
        };
        let north = degrees(half_height_m / EARTH_RADIUS_M);
        // A degree of longitude is shorter towards the poles.
        let farther = if centre.latitude < 0.0 { centre.latitude - north } else { centre.latitude + north };
        let east = degrees(half_width_m / EARTH_RADIUS_M / radians(farther).cos());
        let around = |value: f64, delta: f64| Range { min: value - delta, max: value + delta };
        (around(centre.longitude, east), around(centre.latitude, north))
    }

    /// The size of cells of which nine cover the area.
    fn steps(self, centre: Point) -> u32 {
        let mut radius_m = match self {
            Self::Circle { radius_m } => radius_m,
            Self::Box { width_m, height_m } => {
                ((width_m / 2.0) * (width_m / 2.0) + (height_m / 2.0) * (height_m / 2.0)).sqrt()
            }
        };
        if radius_m == 0.0 {
            return STEPS;
        }
        let mut steps = -1;
        while radius_m < MERCATOR_MAX_M {
            radius_m *= 2.0;
            steps += 1;
        }
        steps -= i32::from(centre.latitude.abs() > 66.0) + i32::from(centre.latitude.abs() > 80.0);
        steps.clamp(1, STEPS as i32) as u32
    }
}

impl Cell {
    /// The cell in which a point is.
    fn at(point: Point, latitudes: Range, steps: u32) -> Self {
        let place = |value: f64, range: Range| {
            ((value - range.min) / (range.max - range.min) * (1_u64 << steps) as f64) as u32
        };
        Self { column: place(point.longitude, LONGITUDES), row: place(point.latitude, latitudes), steps }
    }

    /// The cell so many columns to the east and rows to the north, around the earth.
    fn moved(self, east: i32, north: i32) -> Self {
        let mask = u32::MAX >> (u32::BITS - self.steps);
        let moved = |place: u32, by: i32| place.wrapping_add_signed(by) & mask;
        // The outermost points are at places that are out of the grid, and there they stay.
        let column = if east == 0 { self.column } else { moved(self.column, east) };
        let row = if north == 0 { self.row } else { moved(self.row, north) };
        Self { column, row, ..self }
    }

    fn bits(self) -> u64 {
        interleave(self.row) | interleave(self.column) << 1
    }

    fn longitudes(self) -> Range {
        self.range(self.column, LONGITUDES)
    }

    fn latitudes(self) -> Range {
        self.range(self.row, LATITUDES)
    }

    fn range(self, place: u32, all: Range) -> Range {
        let edge =
            |place: u32| all.min + (f64::from(place) / (1_u64 << self.steps) as f64) * (all.max - all.min);
        Range { min: edge(place), max: edge(place.wrapping_add(1)) }
    }

    /// The scores of the points in it, from the first one up to but without the second.
    fn scores(self) -> (f64, f64) {
        let shift = 2 * (STEPS - self.steps);
        ((self.bits() << shift) as f64, ((self.bits() + 1) << shift) as f64)
    }
}

fn radians(degrees: f64) -> f64 {
    degrees * RADIANS_PER_DEGREE
}

fn degrees(radians: f64) -> f64 {
    radians / RADIANS_PER_DEGREE
}

/// The steps of (de)interleaving: by how much to shift, and which bits stay.
const SPREADING: [(u32, u64); 5] = [
    (16, 0x0000_ffff_0000_ffff),
    (8, 0x00ff_00ff_00ff_00ff),
    (4, 0x0f0f_0f0f_0f0f_0f0f),
    (2, 0x3333_3333_3333_3333),
    (1, 0x5555_5555_5555_5555),
];

/// Moves each bit to the place of twice its number.
fn interleave(bits: u32) -> u64 {
    SPREADING.iter().fold(bits.into(), |bits, (shift, mask)| (bits | bits << shift) & mask)
}

/// Puts the bits at even places together.
fn deinterleave(bits: u64) -> u32 {
    let bits = bits & SPREADING[4].1;
    let folded = SPREADING[..4].iter().rev().fold(bits, |bits, (shift, mask)| {
        let next = shift / 2;
        (bits | bits >> next) & mask
    });
    (folded | folded >> 16) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bits_that_are_spread_are_put_together_again(one: u32, other: u32) {
            let bits = interleave(one) | interleave(other) << 1;
            prop_assert_eq!((deinterleave(bits), deinterleave(bits >> 1)), (one, other));
        }

        #[test]
        fn a_score_stands_for_a_point_within_a_metre(
            longitude in -180.0..=180.0,
            latitude in -85.051_128_78..=85.051_128_78,
        ) {
            let point = Point::new(longitude, latitude).expect("in range");
            let again = Point::from_score(point.score());
            prop_assert!(point.distance_m(again) < 1.0, "{point:?} {again:?}");
        }

        /// Where Redis' own search finds everything: not around the poles and the date line.
        #[test]
        fn the_scores_of_an_area_have_all_its_points(
            centre in (-60.0..60.0, -50.0..50.0),
            offset in (-1.0..1.0, -1.0..1.0),
            radius_m in 1.0..500_000.0,
            is_box: bool,
        ) {
            let centre = Point::new(centre.0, centre.1).expect("in range");
            let reach = degrees(radius_m / EARTH_RADIUS_M);
            let point = Point::new(centre.longitude + offset.0 * reach, centre.latitude + offset.1 * reach);
            let point = point.expect("in range");
            let area = if is_box {
                Area::Box { width_m: radius_m, height_m: radius_m }
            } else {
                Area::Circle { radius_m }
            };
            if area.distance_m(centre, point).is_some() {
                let score = point.score();
                prop_assert!(area.scores(centre).iter().any(|(min, end)| (*min..*end).contains(&score)));
            }
        }

        #[test]
        fn any_number_stands_for_some_point(score: f64) {
            let point = Point::from_score(score);
            prop_assert!(Point::new(point.longitude, point.latitude).is_some());
        }
    }

    #[test]
    fn cells_at_the_edges_have_neighbours_on_the_other_side() {
        let cell = Cell { column: 0, row: 3, steps: 2 };
        assert_eq!(cell.moved(-1, 1), Cell { column: 3, row: 0, steps: 2 });
        assert_eq!(Area::Circle { radius_m: 0.0 }.scores(Point { longitude: 0.0, latitude: 0.0 }).len(), 4);
    }
}
