//! Values as they stand in messages; what a message means is each service's matter.

use kernel::Timestamp;

/// An instant as protobuf has it.
pub fn timestamp(instant: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: instant.seconds(), nanos: instant.subsecond_nanos() }
}

/// An instant read from a message, cut to microseconds; `None` when it is out of protobuf's range.
pub fn read_timestamp(stamp: prost_types::Timestamp) -> Option<Timestamp> {
    // 0001-01-01 to 9999-12-31, as timestamp.proto demands.
    let seconds = (-62_135_596_800..=253_402_300_799).contains(&stamp.seconds);
    let nanos = (0..1_000_000_000).contains(&stamp.nanos);
    (seconds && nanos)
        .then(|| Timestamp::from_micros(stamp.seconds * 1_000_000 + i64::from(stamp.nanos) / 1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_survives_the_wire() {
        for micros in [0, 1, -1, 1_768_478_400_123_456] {
            let instant = Timestamp::from_micros(micros);
            assert_eq!(read_timestamp(timestamp(instant)), Some(instant));
        }
        assert_eq!(read_timestamp(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 }), None);
    }
}
