//! A point in time as the outside world writes it: ISO 8601 in UTC, a date, seconds with a fraction. Pure.
//! May touch: nothing but its arguments; knows no time zone and no clock.
#![forbid(unsafe_code)]

/// Microseconds since the beginning of 1970, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(pub i64);

const MICROSECONDS: i64 = 1_000_000;
const SECONDS_A_DAY: i64 = 86_400;

impl Instant {
    /// Year, month and day of the Gregorian calendar, also before it was introduced.
    fn civil(self) -> (i64, i64, i64) {
        let days = self.0.div_euclid(MICROSECONDS * SECONDS_A_DAY);
        // Counted in eras of 400 years that begin on the first of March, so that a leap day is the last day of its year.
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 {
            month_from_march + 3
        } else {
            month_from_march - 9
        };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        (year, month, day)
    }

    /// `2018-02-16`.
    #[must_use]
    pub fn date(self) -> String {
        let (year, month, day) = self.civil();
        format!("{year:04}-{month:02}-{day:02}")
    }

    /// `2018-02-16T10:48:08.552867Z`; without the fraction where it is zero.
    #[must_use]
    pub fn iso8601(self) -> String {
        let seconds = self.0.div_euclid(MICROSECONDS).rem_euclid(SECONDS_A_DAY);
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        let fraction = match self.0.rem_euclid(MICROSECONDS) {
            0 => String::new(),
            microseconds => format!(".{microseconds:06}"),
        };
        format!(
            "{}T{hour:02}:{minute:02}:{second:02}{fraction}Z",
            self.date()
        )
    }

    /// `1518778088.552867`, as the client protocol has it.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn seconds(self) -> f64 {
        self.0 as f64 / MICROSECONDS as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_written_in_utc() {
        for (seconds, written) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_799, "2000-02-29T23:59:59Z"),
            (1_709_164_800, "2024-02-29T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (-62_135_596_800, "0001-01-01T00:00:00Z"),
        ] {
            assert_eq!(Instant(seconds * MICROSECONDS).iso8601(), written);
        }
        assert_eq!(
            Instant(1_518_790_888_552_867).iso8601(),
            "2018-02-16T14:21:28.552867Z"
        );
        assert_eq!(Instant(-1).iso8601(), "1969-12-31T23:59:59.999999Z");
    }

    #[test]
    fn the_ends_of_time_are_written_too() {
        for end in [i64::MIN, i64::MAX] {
            assert!(Instant(end).iso8601().ends_with('Z'));
        }
    }

    #[test]
    fn seconds_keep_their_fraction() {
        assert!((Instant(1_518_790_888_500_000).seconds() - 1_518_790_888.5).abs() < f64::EPSILON);
    }
}
