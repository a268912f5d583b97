//! Any instant as ISO 8601: what is written is the instant, by the calendar counted the other way.

use crate::instant::Instant;
use crate::source::Source;

pub const REACHES: &[&str] = &["with a fraction", "without a fraction"];

/// Days since the beginning of 1970 of a day of the Gregorian calendar: whole years by their leap days, then months.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let leap_days = |year: i64| year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let lengths = [
        31,
        if is_leap { 29 } else { 28 },
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    assert!((1..=12).contains(&month), "no month");
    assert!(
        (1..=lengths[month as usize - 1]).contains(&day),
        "no day of its month"
    );
    let before: i64 = lengths.iter().take(month as usize - 1).sum();
    (year - 1970) * 365 + leap_days(year - 1) - leap_days(1969) + before + day - 1
}

pub fn run(data: &[u8]) -> &'static str {
    let mut source = Source::new(data);
    let mut microseconds = if source.flag() {
        // About the last day of 400 years, where the rule of the calendar has its last exception.
        let centuries = source.below(1000) as i64 - 500;
        let day = centuries * 146_097 + source.below(4) as i64 - 719_470;
        day * 86_400_000_000 + source.number().rem_euclid(86_400_000_000)
    } else {
        source.number()
    };
    if source.flag() {
        microseconds -= microseconds % 1_000_000;
    }
    let written = Instant(microseconds).iso8601();
    let (date, time) = written.split_once('T').expect("a date and a time");
    assert_eq!(date, Instant(microseconds).date());
    let (year, rest) = date.split_at(date.len() - 6);
    let number = |text: &str| text.parse::<i64>().expect("a number");
    let (month, day) = (number(&rest[1..3]), number(&rest[4..6]));
    let time = time.strip_suffix('Z').expect("UTC");
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let parts: Vec<i64> = clock.split(':').map(number).collect();
    let [hour, minute, second] = parts[..] else {
        panic!("no time of day")
    };
    assert!((0..24).contains(&hour) && (0..60).contains(&minute) && (0..60).contains(&second));
    let seconds = i128::from(days(number(year), month, day)) * 86_400
        + i128::from(hour * 3600 + minute * 60 + second);
    assert_eq!(
        seconds * 1_000_000 + i128::from(number(fraction)),
        i128::from(microseconds)
    );
    assert!(Instant(microseconds).seconds().is_finite());
    if fraction == "0" {
        "without a fraction"
    } else {
        "with a fraction"
    }
}
