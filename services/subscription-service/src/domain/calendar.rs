//! Calendar months in UTC, for terms that are a month or a year long; time zones and locales are not known here.
//!
//! The civil calendar is computed rather than taken from a library: two functions are needed, and both are exact for
//! every instant that a timestamp can name.

use kernel::Timestamp;

const MICROS_PER_DAY: i64 = 86_400 * 1_000_000;

/// A day of the proleptic Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Date {
    year: i64,
    /// 1 to 12.
    month: i64,
    /// 1 to 31.
    day: i64,
}

/// The instant so many calendar months later, at the same time of day.
///
/// Where the month has no such day, it is the month's last: 31 January plus one month is 28 or 29 February, plus two
/// it is 31 March again, because months are counted from the start and not from the shortened day.
pub(crate) fn plus_months(start: Timestamp, months: i64) -> Timestamp {
    let (days, time_of_day) = split(start);
    let from = day_of(days);
    let month_index = from.year * 12 + (from.month - 1) + months;
    let (year, month) = (month_index.div_euclid(12), month_index.rem_euclid(12) + 1);
    let day = from.day.min(days_in_month(year, month));
    let later = days_since_epoch(Date { year, month, day });
    Timestamp::from_micros(later.saturating_mul(MICROS_PER_DAY).saturating_add(time_of_day))
}

/// The start and end of the term that contains `now`, of terms of `months` months counted from `start`.
pub(crate) fn term_at(start: Timestamp, months: i64, now: Timestamp) -> (Timestamp, Timestamp) {
    let (first, last) = (day_of(split(start).0), day_of(split(now.max(start)).0));
    let passed = (last.year - first.year) * 12 + (last.month - first.month);
    // At most one too many: the day or the time of day of `now` may be before that of `start`.
    let mut terms = passed.div_euclid(months);
    if terms > 0 && plus_months(start, terms * months) > now {
        terms -= 1;
    }
    (plus_months(start, terms * months), plus_months(start, (terms + 1) * months))
}

fn split(instant: Timestamp) -> (i64, i64) {
    (instant.micros().div_euclid(MICROS_PER_DAY), instant.micros().rem_euclid(MICROS_PER_DAY))
}

/// The calendar day so many days after 1 January 1970, by counting in eras of 400 years that begin in March.
fn day_of(days: i64) -> Date {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    Date { year: year_of_era + era * 400 + i64::from(month <= 2), month, day }
}

/// The inverse of [`day_of`].
fn days_since_epoch(day: Date) -> i64 {
    let year = day.year - i64::from(day.month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = (day.month + 9) % 12;
    let day_of_year = (153 * shifted_month + 2) / 5 + day.day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn noon(year: i64, month: i64, day: i64) -> Timestamp {
        Timestamp::from_seconds(days_since_epoch(Date { year, month, day }) * 86_400 + 43_200)
    }

    #[test]
    fn known_days_have_their_known_numbers() {
        for (year, month, day, seconds) in [
            (1970, 1, 1, 0),
            (2000, 2, 29, 951_782_400),
            (2026, 1, 15, 1_768_435_200),
            (2100, 3, 1, 4_107_542_400),
        ] {
            assert_eq!(days_since_epoch(Date { year, month, day }) * 86_400, seconds, "{year}-{month}-{day}");
        }
    }

    #[test]
    fn a_month_that_lacks_the_day_ends_on_its_last() {
        assert_eq!(plus_months(noon(2026, 1, 31), 1), noon(2026, 2, 28));
        assert_eq!(plus_months(noon(2028, 1, 31), 1), noon(2028, 2, 29));
        assert_eq!(plus_months(noon(2026, 1, 31), 2), noon(2026, 3, 31));
        assert_eq!(plus_months(noon(2028, 2, 29), 12), noon(2029, 2, 28));
        assert_eq!(plus_months(noon(2028, 2, 29), 48), noon(2032, 2, 29));
        assert_eq!(plus_months(noon(2026, 12, 15), 1), noon(2027, 1, 15));
    }

    #[test]
    fn a_term_begins_at_the_instant_at_which_the_one_before_ends() {
        let start = noon(2026, 1, 31);
        let renewal = noon(2026, 2, 28);
        let just_before = Timestamp::from_micros(renewal.micros() - 1);
        assert_eq!(term_at(start, 1, just_before), (start, renewal));
        assert_eq!(term_at(start, 1, renewal), (renewal, noon(2026, 3, 31)));
        assert_eq!(term_at(start, 12, noon(2029, 6, 1)), (noon(2029, 1, 31), noon(2030, 1, 31)));
    }

    proptest! {
        #[test]
        fn every_day_is_read_back(days in -1_000_000_i64..1_000_000) {
            let day = day_of(days);
            prop_assert_eq!(days_since_epoch(day), days);
            prop_assert!((1..=days_in_month(day.year, day.month)).contains(&day.day));
        }

        #[test]
        fn the_term_contains_now(start in 0_i64..4_000_000_000, later in 0_i64..1_000_000_000, yearly: bool) {
            let (start, now) = (Timestamp::from_seconds(start), Timestamp::from_seconds(start + later));
            let (from, to) = term_at(start, if yearly { 12 } else { 1 }, now);
            prop_assert!(from <= now && now < to && start <= from);
        }
    }
}
