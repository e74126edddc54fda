//! The digits and the order of the results are what redis-server 7.0.15 answers.

use crate::command::testing::Fixture;

const SYNTAX: &str = "-ERR syntax error";

fn places() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.check(&[
        ("geoadd g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania", ":2"),
        ("geoadd g 2.349014 48.864716 Paris 139.691706 35.689487 Tokyo -74.005973 40.712776 NY", ":3"),
        ("geoadd g 180 85.05112878 edge -180 -85.05112878 edge2", ":2"),
    ]);
    fixture
}

#[test]
fn members_have_positions() {
    let mut fixture = places();
    fixture.check(&[
        ("type g", "+zset"),
        ("zscore g Palermo", ",3479099956230698"),
        ("geoadd g nx 0 0 Paris", ":0"),
        ("geoadd g xx ch 2.349014 48.864716 Paris 0 0 Rome", ":0"),
        ("geodist g Palermo Catania", "$166274.1516"),
        ("geodist g Palermo Catania km", "$166.2742"),
        ("geodist g Palermo Catania FT", "$545518.8700"),
        ("geodist g Palermo nope", "nil"),
        ("geodist none a b", "nil"),
        ("geohash g Palermo nope Tokyo", "[$sqc8b49rny0 nil $xn774c06kd0]"),
        (
            "geopos g Palermo nope edge edge2",
            "[[,13.36138933897018433 ,38.11555639549629859] nil [,180 ,85.0511287799999991] \
             [,-179.99999731779098511 ,-85.05112751263942528]]",
        ),
        ("geohash none a", "[nil]"),
        ("geopos g", "[]"),
    ]);
    fixture.check_events("geoadd h 1 1 a", &["0 new h", "0 zadd h"]);
}

#[test]
fn what_is_near_is_found_in_the_order_of_redis() {
    places().check(&[
        (
            "georadius g 15 37 200 km withdist withcoord withhash asc",
            "[[$Catania $56.4413 :3479447370796909 [,15.08726745843887329 ,37.50266842333162032]] \
             [$Palermo $190.4424 :3479099956230698 [,13.36138933897018433 ,38.11555639549629859]]]",
        ),
        ("georadius_ro g 15 37 200 km desc", "[$Palermo $Catania]"),
        ("georadiusbymember g Paris 5000 km", "[$Palermo $Catania $Paris]"),
        ("georadiusbymember_ro g Paris 1 km", "[$Paris]"),
        ("geosearch g frommember NY byradius 20000 km", "[$NY $edge2 $Palermo $Catania $Paris $Tokyo]"),
        (
            "geosearch g fromlonlat 15 37 bybox 400 400 km asc withdist",
            "[[$Catania $56.4413] [$Palermo $190.4424]]",
        ),
        ("geosearch g fromlonlat 15 37 byradius 20000 km count 2", "[$Catania $Palermo]"),
        ("geosearch g fromlonlat 15 37 byradius 20000 km count 2 any", "[$Palermo $Catania]"),
        ("geosearch none frommember x byradius 1 km", "[]"),
        ("georadiusbymember none x 1 km", "[]"),
        ("georadius none 1 1 1 km", "[]"),
    ]);
}

#[test]
fn what_is_near_is_stored() {
    let mut fixture = places();
    fixture.check(&[
        ("georadius g 15 37 200 km storedist d", ":2"),
        ("zrange d 0 -1 withscores", "[[$Catania ,56.4412578701582] [$Palermo ,190.44242984775784]]"),
        ("georadius g 15 37 200 km count 1 store d", ":1"),
        ("zrange d 0 -1 withscores", "[[$Catania ,3479447370796909]]"),
        ("geosearchstore d g fromlonlat 15 37 byradius 200 km storedist", ":2"),
        ("zrange d 0 -1", "[$Catania $Palermo]"),
    ]);
    fixture.check_events("geosearchstore d g frommember Paris byradius 1 m", &["0 geosearchstore d"]);
    fixture.check_events("georadiusbymember g Paris 1 m store d", &["0 georadiusstore d"]);
    fixture.check_events("geosearchstore d none frommember a byradius 1 km", &["0 keymiss none", "0 del d"]);
    fixture.check(&[("geosearchstore d none frommember a byradius 1 km", ":0")]);
}

#[test]
fn what_makes_no_search_is_refused() {
    places().check(&[
        ("geoadd g 181 0 x", "-ERR invalid longitude,latitude pair 181.000000,0.000000"),
        ("geoadd g x 0 x", "-ERR value is not a valid float"),
        ("geoadd g 1 2 x 3", SYNTAX),
        ("geoadd g nx xx 1 2 x", SYNTAX),
        ("geoadd g nx ch ch", SYNTAX),
        ("geodist g a b x", "-ERR unsupported unit provided. please use M, KM, FT, MI"),
        ("geodist g a b m m", SYNTAX),
        ("georadius g 15 37 -1 km", "-ERR radius cannot be negative"),
        ("georadius g 15 37 x km", "-ERR need numeric radius"),
        ("georadius g 15 37 1 km count 0", "-ERR COUNT must be > 0"),
        ("georadius_ro g 15 37 1 km store d", SYNTAX),
        (
            "georadius g 15 37 1 km store d withdist",
            "-ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
        ),
        ("georadiusbymember g nope 1 km", "-ERR could not decode requested zset member"),
        ("geosearch g fromlonlat 15 37 bybox -1 1 km", "-ERR height or width cannot be negative"),
        ("geosearch g fromlonlat 15 37 bybox x 1 km", "-ERR need numeric width"),
        ("geosearch g fromlonlat 15 37 byradius 1 km bybox 1 1 km", SYNTAX),
        ("geosearch g fromlonlat 15 37 byradius 1 km any", "-ERR the ANY argument requires COUNT argument"),
        (
            "geosearch g byradius 1 km asc asc asc",
            "-ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for geosearch",
        ),
        (
            "GEOSEARCH g fromlonlat 15 37 asc asc",
            "-ERR exactly one of BYRADIUS and BYBOX can be specified for GEOSEARCH",
        ),
        (
            "geosearchstore d g fromlonlat 15 37 byradius 1 km withcoord",
            "-ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
        ),
    ]);
}
