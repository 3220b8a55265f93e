//! Dates of HTTP (RFC 9110 section 5.6.7), written in the preferred form and read as leniently as nginx reads them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const MONTH_DAYS: [i64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// Seconds since 1970, rounded down; negative before.
pub(super) fn seconds(time: SystemTime) -> i64 {
    let whole = |d: Duration| i64::try_from(d.as_secs()).unwrap_or(i64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => whole(after),
        Err(before) => {
            let before = before.duration();
            whole(before).saturating_neg() - i64::from(before.subsec_nanos() > 0)
        }
    }
}

/// Days since 1970-01-01 of a date of the proleptic Gregorian calendar; `month` counts from 0.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    // Years start in March here, so that the leap day is a year's last.
    let shifted = (month + 10) % 12;
    let year = if month < 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * shifted + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// (year, month from 0, day) of a day number.
fn civil_from_days(days: i64) -> (i64, usize, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = (month + 2) % 12;
    let year = year_of_era + era * 400 + i64::from(month < 2);
    (year, usize::try_from(month).unwrap_or(0), day)
}

/// `Tue, 14 Nov 2023 22:13:20 GMT`.
pub(super) fn format(seconds: i64) -> String {
    let days = seconds.div_euclid(86_400);
    let rest = seconds.rem_euclid(86_400);
    let (year, month, day) = civil_from_days(days);
    let weekday = usize::try_from((days + 4).rem_euclid(7)).unwrap_or(0);
    let (weekday, month) = (DAYS.get(weekday).unwrap_or(&""), MONTHS.get(month).unwrap_or(&""));
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

/// The `Date` of an answer sent now.
pub(super) fn now() -> String {
    format(seconds(SystemTime::now()))
}

/// A cursor that gives up at the end instead of reading past it.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.take()? == byte).then_some(())
    }

    fn digits(&mut self, count: usize) -> Option<i64> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.take()?;
            value = value * 10 + byte.is_ascii_digit().then(|| i64::from(byte - b'0'))?;
        }
        Some(value)
    }

    fn month(&mut self) -> Option<i64> {
        let name = self.0.get(..3)?;
        let found = MONTHS.iter().position(|m| m.as_bytes() == name)?;
        self.0 = self.0.get(3..)?;
        i64::try_from(found).ok()
    }

    fn clock(&mut self) -> Option<(i64, i64, i64)> {
        let hour = self.digits(2)?;
        self.expect(b':')?;
        let minute = self.digits(2)?;
        self.expect(b':')?;
        Some((hour, minute, self.digits(2)?))
    }
}

/// Reads the three forms of RFC 9110 section 5.6.7; weekday and zone are not looked at.
pub(super) fn parse(text: &[u8]) -> Option<i64> {
    let mark = text.iter().position(|b| matches!(b, b',' | b' '))?;
    let asctime = text.get(mark) == Some(&b' ');
    let mut rest = text.get(mark + 1..)?;
    while let Some((b' ', more)) = rest.split_first() {
        rest = more;
    }
    // The shortest tail that can hold a date; nginx refuses shorter ones before it looks at them.
    if rest.len() < 18 {
        return None;
    }
    let mut read = Reader(rest);
    let (year, month, day, clock);
    if asctime {
        month = read.month()?;
        read.expect(b' ')?;
        if read.0.first() == Some(&b' ') {
            read.take()?;
        }
        let mut value = read.digits(1)?;
        if read.0.first() != Some(&b' ') {
            value = value * 10 + read.digits(1)?;
        }
        day = value;
        if read.0.len() < 14 {
            return None;
        }
        read.expect(b' ')?;
        clock = read.clock()?;
        read.expect(b' ')?;
        year = read.digits(4)?;
    } else {
        day = read.digits(2)?;
        let separator = read.take()?;
        match separator {
            b' ' if read.0.len() >= 17 => {}
            b'-' => {}
            _ => return None,
        }
        month = read.month()?;
        read.expect(separator)?;
        year = if separator == b' ' {
            read.digits(4)?
        } else {
            // RFC 9110 section 5.6.7 leaves the century of a two-digit year to the reader.
            let short = read.digits(2)?;
            if short < 70 { short + 2000 } else { short + 1900 }
        };
        read.expect(b' ')?;
        clock = read.clock()?;
    }
    let (hour, minute, second) = clock;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = usize::try_from(month).ok().and_then(|m| MONTH_DAYS.get(m))?;
    if day > length + i64::from(leap && month == 1) {
        return None;
    }
    Some(days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_dates() {
        assert_eq!(format(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(format(1_700_000_000), "Tue, 14 Nov 2023 22:13:20 GMT");
        assert_eq!(format(951_782_400), "Tue, 29 Feb 2000 00:00:00 GMT");
        for text in ["Tue, 14 Nov 2023 22:13:20 GMT", "Tuesday, 14-Nov-23 22:13:20 GMT", "Tue Nov 14 22:13:20 2023"] {
            assert_eq!(parse(text.as_bytes()), Some(1_700_000_000), "{text}");
        }
        for text in ["", "x", "Tue, 14 nov 2023 22:13:20 GMT", "Tue, 31 Feb 2023 22:13:20 GMT", "Tue, 14 Nov"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(seconds in 0_i64..253_402_300_799) {
            prop_assert_eq!(parse(format(seconds).as_bytes()), Some(seconds));
        }

        #[test]
        fn never_panics(text in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = parse(&text);
        }
    }
}
