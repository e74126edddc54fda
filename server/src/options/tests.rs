//! Tables for the option table; the expected errors are what redis-server 7.0.15 answers.

use super::document::markdown;
use super::*;

fn set(pairs: &[(&str, &str)]) -> Result<Options, String> {
    let mut options = Options::default();
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    options.set_all(&pairs).map_err(|error| error.to_string())?;
    Ok(options)
}

fn get(options: &Options, name: &str) -> String {
    find(name).expect("a name of the table").get(options)
}

fn start(arguments: &[&str]) -> Result<Startup, String> {
    match parse_command_line(arguments.iter().map(ToString::to_string))? {
        CommandLine::Run(startup) => Ok(*startup),
        other => Err(format!("{other:?}")),
    }
}

#[test]
fn every_entry_reads_what_it_prints() {
    let defaults = Options::default();
    for entry in TABLE {
        for text in [entry.get(&defaults), entry.show(&defaults)] {
            let mut options = defaults.clone();
            assert_eq!(entry.set(&mut options, &text), Ok(()), "{} {text}", entry.name);
            assert_eq!(options, defaults, "{} {text}", entry.name);
        }
    }
}

#[test]
fn names_are_unique_and_lower_case() {
    for (index, entry) in TABLE.iter().enumerate() {
        assert!(entry.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{}", entry.name);
        assert!(
            !TABLE[..index].iter().any(|other| other.name == entry.name),
            "{} is there twice",
            entry.name
        );
        assert!(entry.help.trim().ends_with('.'), "{} needs a sentence of help", entry.name);
    }
}

#[test]
fn config_set_takes_what_redis_takes() {
    let check = |name: &str, value: &str, expected: &str| {
        let options = set(&[(name, value)]).unwrap_or_else(|error| panic!("{name} {value}: {error}"));
        assert_eq!(get(&options, name), expected, "{name} {value}");
    };
    for (name, value, expected) in [
        ("timeout", "1", "1"),
        ("TimeOut", "2147483647", "2147483647"),
        ("slowlog-log-slower-than", "-1", "-1"),
        ("maxmemory", "1kB", "1024"),
        ("maxmemory", "1K", "1000"),
        ("maxmemory", "7", "7"),
        ("maxmemory", "7b", "7"),
        ("maxmemory", "3gb", "3221225472"),
        ("maxmemory", "18446744073709551615", "18446744073709551615"),
        ("proto-max-bulk-len", "1mb", "1048576"),
        ("appendfsync", "ALWAYS", "always"),
        ("loglevel", "debug", "debug"),
        ("requirepass", "a \"b", "a \"b"),
        ("requirepass", "", ""),
        ("save", "", ""),
        ("appendonly", "YES", "yes"),
        ("latency-tracking", "NO", "no"),
        ("latency-tracking-info-percentiles", "50.0 0.1 1e1 99.999", "50 0.1 10 99.999"),
        ("latency-tracking-info-percentiles", "", ""),
        ("notify-keyspace-events", "", ""),
        ("notify-keyspace-events", "KEA", "AKE"),
        ("notify-keyspace-events", "gKExe", "gxeKE"),
        ("notify-keyspace-events", "KEAm", "AKEm"),
        ("notify-keyspace-events", "g$lshzxetdK", "AK"),
        ("notify-keyspace-events", "gn", "gn"),
        ("notify-keyspace-events", "nA", "An"),
        (
            "client-output-buffer-limit",
            "normal 1mb 2mb 3",
            "normal 1048576 2097152 3 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
        ),
        (
            "client-output-buffer-limit",
            "replica 1 2 3 PUBSUB 4 5 6 normal 0 0 0",
            "normal 0 0 0 slave 1 2 3 pubsub 4 5 6",
        ),
    ] {
        check(name, value, expected);
    }
}

#[test]
fn config_set_refuses_in_the_words_of_redis() {
    let failed = |name: &str, reason: &str| {
        format!("CONFIG SET failed (possibly related to argument '{name}') - {reason}")
    };
    let unknown = |name: &str| format!("Unknown option or number of arguments for CONFIG SET - '{name}'");
    let check = |pairs: &[(&str, &str)], expected: String| assert_eq!(set(pairs), Err(expected), "{pairs:?}");
    check(&[("foo", "bar")], unknown("foo"));
    check(&[("timeout", "x"), ("foo", "2")], unknown("foo"));
    check(&[("foo", "1"), ("databases", "2")], unknown("foo"));
    check(&[("databases", "1"), ("foo", "2")], failed("databases", "can't set immutable config"));
    check(&[("timeout", "1"), ("TIMEOUT", "2")], failed("TIMEOUT", "duplicate parameter"));
    check(&[("timeout", "5"), ("hz", "x")], failed("hz", "argument couldn't be parsed into an integer"));
    for value in ["", " 1", "1 ", "1.5", "+1", "01", "-0", "abc", "99999999999999999999"] {
        check(&[("timeout", value)], failed("timeout", "argument couldn't be parsed into an integer"));
    }
    for (name, value, reason) in [
        ("timeout", "-1", "argument must be between 0 and 2147483647 inclusive"),
        ("maxclients", "0", "argument must be between 1 and 4294967295 inclusive"),
        ("proto-max-bulk-len", "5", "argument must be between 1048576 and 536870912 inclusive"),
        ("slowlog-max-len", "-1", "argument must be between 0 and 9223372036854775807 inclusive"),
        ("maxmemory", "", "argument must be a memory value"),
        ("maxmemory", "mb", "argument must be a memory value"),
        ("maxmemory", "12xx", "argument must be a memory value"),
        ("maxmemory", "-5", "argument must be a memory value"),
        ("maxmemory", "1 b", "argument must be a memory value"),
        ("maxmemory", "18446744073709551616", "argument must be a memory value"),
        ("maxmemory", "99999999999gb", "argument must be a memory value"),
        ("appendfsync", "foo", "argument(s) must be one of the following: everysec, always, no"),
        ("loglevel", "foo", "argument(s) must be one of the following: debug, verbose, notice, warning"),
        ("notify-keyspace-events", "KEq", "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."),
        ("appendonly", "no", "argument must be 'yes' in kvasm"),
        ("latency-tracking", "1", "argument must be 'yes' or 'no'"),
        ("latency-tracking-info-percentiles", "50 x", "Invalid latency-tracking-info-percentiles parameters"),
        (
            "latency-tracking-info-percentiles",
            "50 101",
            "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]",
        ),
        ("save", "900 1", "argument must be '' in kvasm"),
        (
            "client-output-buffer-limit",
            "slave 1mb 2mb",
            "Wrong number of arguments in buffer limit configuration.",
        ),
        (
            "client-output-buffer-limit",
            "foo 1 2 3",
            "Invalid client class specified in buffer limit configuration.",
        ),
        (
            "client-output-buffer-limit",
            "slave 1 2 -3",
            "Error in hard, soft or soft_seconds setting in buffer limit configuration.",
        ),
        ("requirepass", "a\0b", "argument must not contain a zero byte"),
    ] {
        check(&[(name, value)], failed(name, reason));
    }
    let mut options = Options::default();
    let error = options.set_all(&[(b"requirepass", b"\xff")]).map_err(|error| error.to_string());
    assert_eq!(error, Err(failed("requirepass", "argument must be valid UTF-8")));
}

#[test]
fn no_string_may_be_longer_than_the_store_keeps() {
    let longest = STRING_BYTES.to_string();
    let options = set(&[("proto-max-bulk-len", &longest)]).expect("what the store keeps");
    assert_eq!(options.proto_max_bulk_len, STRING_BYTES);
    let longer = (STRING_BYTES + 1).to_string();
    assert!(set(&[("proto-max-bulk-len", &longer)]).is_err());
    let mut options = Options::default();
    let error = apply_file(&mut options, "proto-max-bulk-len 1gb").expect_err("more than the store keeps");
    assert_eq!(
        error,
        "line 1: 'proto-max-bulk-len 1gb': argument must be between 1048576 and 536870912 inclusive"
    );
}

#[test]
fn config_set_sets_all_or_nothing() {
    let mut options = Options::default();
    assert!(options.set_all(&[(b"timeout", b"5"), (b"maxclients", b"x")]).is_err());
    assert_eq!(options, Options::default());
    assert_eq!(options.set_all(&[(b"HZ", b"20"), (b"timeout", b"5")]), Ok(()));
    assert_eq!((options.hz, options.timeout_s), (20, 5));
}

#[test]
fn config_get_gives_the_wanted_options() {
    let options = Options::default();
    let pairs = options.get_matching(|name| name.starts_with("maxm"));
    assert_eq!(pairs, [("maxmemory", "0".to_owned()), ("maxmemory-policy", "noeviction".to_owned())]);
}

#[test]
fn the_command_line_sets_options() {
    let options =
        start(&["--port", "0", "--dir", "D", "--APPENDFSYNC", "always", "--bind", "127.0.0.1", "::1"])
            .expect("a good command line")
            .options;
    assert_eq!((options.port, options.dir.as_str(), options.appendfsync), (0, "D", AppendFsync::Always));
    assert_eq!(get(&options, "bind"), "127.0.0.1 ::1");
    let options = start(&["--timeout", "1", "--slowlog-log-slower-than", "-1", "--timeout", "2"])
        .expect("the last wins");
    assert_eq!((options.options.timeout_s, options.options.slowlog_log_slower_than_us), (2, -1));
    let options =
        start(&["--port=6395", "--bind=::1", "-127.0.0.1", "--requirepass=a=b"]).expect("good").options;
    assert_eq!(
        (options.port, get(&options, "bind"), &options.requirepass[..]),
        (6395, "::1 -127.0.0.1".into(), "a=b")
    );
    for arguments in [&["--help"][..], &["-h"], &["import", "--help"], &["import", "-h", "dump.rdb"]] {
        let arguments = arguments.iter().map(ToString::to_string);
        assert_eq!(parse_command_line(arguments), Ok(CommandLine::Help));
    }
    assert_eq!(parse_command_line(["--version".to_owned()]), Ok(CommandLine::Version));
}

#[test]
fn a_wrong_command_line_is_refused_with_the_reason() {
    let check = |arguments: &[&str], expected: &str| assert_eq!(start(arguments), Err(expected.to_owned()));
    check(&["--foo", "1"], "--foo: there is no option 'foo'");
    check(&["--port"], "--port: wrong number of arguments for 'port'");
    check(&["--port", "1", "2"], "--port: wrong number of arguments for 'port'");
    check(&["--port", "99999"], "--port: argument must be between 0 and 65535 inclusive");
    check(&["--bind", "localhost"], "--bind: 'localhost' is not an IP address");
    check(&["--bind", ""], "--bind: at least one IP address is needed");
    check(&["-p", "6390"], "there is no option '-p'; see --help");
    check(&["import"], "import needs the name of a file, such as dump.rdb");
    check(&["import", "--dir", "x"], "import needs the name of a file before its options");
    let error = start(&["/no/such/kvasm.conf"]).expect_err("no such file");
    assert!(error.starts_with("cannot read the configuration file '/no/such/kvasm.conf': "), "{error}");
}

#[test]
fn the_command_line_wins_over_the_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("kvasm.conf");
    std::fs::write(&path, "timeout 7\nport 7000\n").expect("a file");
    let path = path.to_str().expect("UTF-8").to_owned();
    let startup = start(&[&path, "--port", "7001"]).expect("a good file");
    assert_eq!((startup.options.port, startup.options.timeout_s), (7001, 7));
    assert!(startup.config_file.is_some_and(|path| path.is_absolute()));
}

#[test]
fn words_are_split_as_in_redis_conf() {
    let check = |line: &str, expected: Option<&[&str]>| {
        let words = split_words(line);
        assert_eq!(
            words.as_ref().map(|words| words.iter().map(String::as_str).collect::<Vec<_>>()).as_deref(),
            expected
        );
    };
    check("", Some(&[]));
    check("  a\tb  ", Some(&["a", "b"]));
    check(r#"a "" b"#, Some(&["a", "", "b"]));
    check(r#""a b" 'c d'"#, Some(&["a b", "c d"]));
    check(r#""\n\r\t\b\a\\\"\x41\q""#, Some(&["\n\r\t\u{8}\u{7}\\\"Aq"]));
    check(r"'\'\n'", Some(&[r"'\n"]));
    check(r#"pre"fix""#, Some(&["prefix"]));
    check(r#""a"b"#, None);
    check("'a'b", None);
    check(r#"a "b"#, None);
    check("a 'b", None);
    check(r#""\"#, None);
    check(r#""\xff""#, None);
}

#[test]
fn what_redis_takes_as_the_nearest_value_or_by_an_earlier_name_is_taken_here() {
    for (name, value, told, expected) in [
        ("hz", "0", "hz", "1"),
        ("hz", "100000", "hz", "500"),
        ("hash-max-ziplist-entries", "7", "hash-max-listpack-entries", "7"),
        ("zset-max-ziplist-value", "7", "zset-max-listpack-value", "7"),
    ] {
        let mut options = Options::default();
        assert!(options.set_all(&[(name.as_bytes(), value.as_bytes())]).is_ok(), "{name}");
        assert_eq!(find(told).map(|entry| entry.get(&options)).as_deref(), Some(expected), "{name} {value}");
    }
}

#[test]
fn a_file_sets_options_and_errors_name_the_line() {
    let mut options = Options::default();
    let text = "# comment\n\n  Port 7000\r\nrequirepass \"a b\"\nclient-output-buffer-limit normal 1 2 3\n\
                client-output-buffer-limit pubsub 4mb 5mb 6\nsave \"\"\n";
    assert_eq!(apply_file(&mut options, text), Ok(vec![]));
    assert_eq!((options.port, options.requirepass.as_str()), (7000, "a b"));
    assert_eq!(options.client_output_buffer_limit[OutputClass::Normal].soft_s, 3);
    assert_eq!(options.client_output_buffer_limit[OutputClass::PubSub].hard_bytes, 4 << 20);
    for (text, expected) in [
        ("port 1\nfoo", "line 2: 'foo': there is no option 'foo'"),
        ("timeout \"3", "line 1: 'timeout \"3': Unbalanced quotes in configuration line"),
        ("timeout 3 #x", "line 1: 'timeout 3 #x': wrong number of arguments for 'timeout'"),
        ("databases 17", "line 1: 'databases 17': argument must be '16' in kvasm"),
        ("hz -1", "line 1: 'hz -1': argument must be between 0 and 2147483647 inclusive"),
        ("a 1\nport 1\nb 2", "line 1: 'a 1': there is no option 'a'\nline 3: 'b 2': there is no option 'b'"),
        ("daemonize perhaps", "line 1: 'daemonize perhaps': there is no option 'daemonize'"),
        ("replica-priority 1 2", "line 1: 'replica-priority 1 2': there is no option 'replica-priority'"),
    ] {
        assert_eq!(apply_file(&mut Options::default(), text), Err(expected.to_owned()));
    }
}

#[test]
fn a_file_with_very_many_errors_is_told_the_first_ones() {
    let error = apply_file(&mut Options::default(), &"foo\n".repeat(1000)).expect_err("wrong lines");
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!((lines.len(), lines[20]), (21, "and 980 more"));
}

#[test]
fn what_means_nothing_here_is_passed_over_in_a_file_made_for_redis() {
    let mut options = Options::default();
    let text = "bind 127.0.0.1 -::1\nprotected-mode yes\nport 6379\nDaemonize yes\n\
                oom-score-adj-values 0 200 800\nauto-aof-rewrite-min-size 64mb\nlist-max-listpack-size -2\n\
                pidfile /run/redis/redis-server.pid\n";
    let passed_over = [
        "protected-mode",
        "daemonize",
        "oom-score-adj-values",
        "auto-aof-rewrite-min-size",
        "list-max-listpack-size",
        "pidfile",
    ];
    assert_eq!(apply_file(&mut options, text), Ok(passed_over.to_vec()));
    assert_eq!(get(&options, "bind"), "127.0.0.1 -::1");
    assert!(options.bind[1].is_optional && !options.bind[0].is_optional);
    assert!(rewrite(text, &options).contains("Daemonize yes\n"));
    assert!(TABLE.iter().all(|entry| super::of_redis::passed_over(entry.name, &["yes".into()]).is_none()));
    assert!(start(&["--daemonize", "no"]).is_err());
}

#[test]
fn a_rewrite_keeps_comments_and_lines_that_are_still_true() {
    let check = |text: &str, changes: &[(&str, &str)], expected: &str| {
        let mut options = Options::default();
        apply_file(&mut options, text).expect("a good file");
        for (name, value) in changes {
            find(name).expect("an option").set(&mut options, value).expect("a good value");
        }
        let rewritten = rewrite(text, &options);
        assert_eq!(rewritten, expected);
        let mut reread = Options::default();
        assert_eq!(apply_file(&mut reread, &rewritten), Ok(vec![]));
        assert_eq!(reread, options, "the file must say what was set");
        assert_eq!(rewrite(&rewritten, &options), expected, "a second rewrite changes nothing");
    };
    check("", &[], "");
    check("# a\n\nmaxmemory 100MB\n", &[], "# a\n\nmaxmemory 100MB\n");
    check("# a\nmaxmemory 100MB\n# b\n", &[("maxmemory", "200mb")], "# a\nmaxmemory 200mb\n# b\n");
    check("timeout 3\n", &[("timeout", "0")], "timeout 0\n");
    check(
        "hz 20",
        &[("requirepass", "a \"\\\n"), ("maxmemory", "1000")],
        "hz 20\n\n# Generated by CONFIG REWRITE\nrequirepass \"a \\\"\\\\\\x0a\"\nmaxmemory 1000\n",
    );
    check("requirepass x\n", &[("requirepass", "")], "requirepass \"\"\n");
    check(
        "client-output-buffer-limit normal 1 2 3\n# c\nclient-output-buffer-limit replica 1 2 3\n",
        &[("client-output-buffer-limit", "pubsub 1mb 0 0")],
        "client-output-buffer-limit normal 1 2 3 slave 1 2 3 pubsub 1mb 0 0\n# c\n",
    );
    check("bind 127.0.0.1 ::1\nport 1\nport 2\n", &[("port", "3")], "bind 127.0.0.1 ::1\nport 3\n");
}

#[test]
fn a_rewritten_file_replaces_the_old_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("kvasm.conf");
    std::fs::write(&path, "# mine\ntimeout 1\n").expect("a file");
    let options = set(&[("timeout", "2")]).expect("a good value");
    rewrite_file(&path, &options).expect("rewritten");
    assert_eq!(std::fs::read_to_string(&path).expect("a file"), "# mine\ntimeout 2\n");
    assert_eq!(std::fs::read_dir(directory.path()).expect("a directory").count(), 1, "nothing else is left");
    assert!(rewrite_file(&directory.path().join("none"), &options).is_err());
}

#[test]
fn help_and_document_have_every_option() {
    let (help, markdown) = (help(), markdown());
    for entry in TABLE {
        assert!(help.contains(&format!("\n  --{}\n", entry.name)), "{}", entry.name);
        assert!(markdown.contains(&format!("\n| `{}` |", entry.name)), "{}", entry.name);
    }
    assert!(help.lines().all(|line| line.len() <= 100), "lines fit a terminal");
}

#[test]
fn options_document_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/options.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, markdown()).expect("docs/options.md can be written");
    }
    let text = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(text, markdown(), "run: UPDATE_DOCS=1 cargo test -p kvasm --lib up_to_date");
}
