//! The deadline of a request: the client's or the server's, whichever is earlier; it bounds the answer's headers, not
//! a stream that follows them.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Request, Response};
use kernel::{Code, Refusal, reason};
use tokio::time::Instant;
use tonic::body::Body;

use crate::status::status_in;

/// The header by which a client tells how long it waits.
pub(crate) const GRPC_TIMEOUT: &str = "grpc-timeout";
/// A call to a peer takes at most this long.
const LONGEST_PEER_CALL: Duration = Duration::from_secs(5);
/// Time that is kept from a peer, so that its silence can still be answered; of a short time a quarter.
const KEPT_FROM_PEER: Duration = Duration::from_millis(50);
/// The longest time by which the answer precedes the client's deadline.
const LONGEST_LEAD: Duration = Duration::from_millis(20);
const SHORTEST_LEAD: Duration = Duration::from_millis(2);

tokio::task_local! {
    static DEADLINE: Instant;
}

/// How long the current request still has; `None` outside of a request.
pub fn remaining() -> Option<Duration> {
    let deadline = DEADLINE.try_with(|deadline| *deadline).ok()?;
    Some(deadline.saturating_duration_since(Instant::now()))
}

/// How long a call to a peer may take, so that its failure can be told in time; zero when there is no such time.
pub fn for_peer() -> Duration {
    remaining().map_or(LONGEST_PEER_CALL, |remaining| {
        let kept = KEPT_FROM_PEER.min(remaining / 4).max(remaining / 20);
        remaining.saturating_sub(kept).min(LONGEST_PEER_CALL)
    })
}

/// How long one call to a peer may take: what the current request grants, or less where the call itself says so.
pub(crate) fn for_peer_call(headers: &HeaderMap) -> Duration {
    let asked = headers.get(GRPC_TIMEOUT).and_then(read_timeout);
    asked.map_or_else(for_peer, |asked| asked.min(for_peer()))
}

/// Runs the rest of a request under its deadline. On expiry the rest is dropped, which rolls its transaction back.
pub(crate) async fn bounded<R>(
    longest_call: Duration,
    domain: &str,
    request: Request<Body>,
    rest: impl FnOnce(Request<Body>) -> R,
) -> Response<Body>
where
    R: Future<Output = Response<Body>>,
{
    let granted = granted(request.headers(), longest_call);
    let deadline = Instant::now() + granted;
    let answer = DEADLINE.scope(deadline, rest(request));
    tokio::time::timeout_at(deadline, answer).await.unwrap_or_else(|_| {
        let refusal =
            Refusal::new(Code::DeadlineExceeded, reason::DEADLINE_EXCEEDED, "the deadline has passed");
        status_in(domain, &refusal, None).into_http()
    })
}

/// The time until the request must be answered.
fn granted(headers: &HeaderMap, longest_call: Duration) -> Duration {
    match headers.get(GRPC_TIMEOUT).and_then(read_timeout) {
        // The transport answers CANCELLED at the client's deadline itself, without details: ours comes before.
        Some(wanted) if wanted <= longest_call => {
            wanted.saturating_sub((wanted / 20).clamp(SHORTEST_LEAD, LONGEST_LEAD))
        }
        Some(_) | None => longest_call,
    }
}

/// Runs what the current request needs and others too: it has the time of a call to a peer, whatever the request has.
pub(crate) async fn apart<R>(work: impl Future<Output = R>) -> R {
    DEADLINE.scope(Instant::now() + LONGEST_PEER_CALL, work).await
}

/// Runs what a request would, whose time is over.
#[cfg(test)]
pub(crate) async fn when_over<R>(work: impl Future<Output = R>) -> R {
    DEADLINE.scope(Instant::now(), work).await
}

/// Reads `grpc-timeout`: at most eight digits and a unit; anything else counts as not given, as the transport has it.
fn read_timeout(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?;
    let unit = text.chars().last()?;
    let digits = text.strip_suffix(unit)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        'H' => Some(Duration::from_secs(count * 3_600)),
        'M' => Some(Duration::from_secs(count * 60)),
        'S' => Some(Duration::from_secs(count)),
        'm' => Some(Duration::from_millis(count)),
        'u' => Some(Duration::from_micros(count)),
        'n' => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

/// `grpc-timeout` for a peer: microseconds, or milliseconds where those would need more than eight digits.
pub(crate) fn timeout_header(timeout: Duration) -> HeaderValue {
    let micros = timeout.as_micros();
    let text = if micros < 100_000_000 {
        format!("{micros}u")
    } else {
        format!("{}m", timeout.as_millis().min(99_999_999))
    };
    HeaderValue::try_from(text).expect("digits and a letter are a header value")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(timeout: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(
            http::HeaderName::from_static(GRPC_TIMEOUT),
            HeaderValue::from_static(timeout),
        )])
    }

    #[test]
    fn the_earlier_deadline_counts() {
        let cap = Duration::from_secs(10);
        assert_eq!(granted(&headers("1S"), cap), Duration::from_millis(980));
        assert_eq!(granted(&headers("100m"), cap), Duration::from_millis(95));
        assert_eq!(granted(&headers("1m"), cap), Duration::ZERO);
        for unbounded in ["3H", "99999999H", "", "S", "-1S", "123456789S", "1x", "1é"] {
            let headers = HeaderMap::from_iter([(
                http::HeaderName::from_static(GRPC_TIMEOUT),
                HeaderValue::from_bytes(unbounded.as_bytes()).unwrap(),
            )]);
            assert_eq!(granted(&headers, cap), cap, "{unbounded}");
        }
    }

    #[tokio::test]
    async fn a_peer_gets_less_than_is_left() {
        assert_eq!(for_peer(), LONGEST_PEER_CALL);
        for (left, peer) in [(60_000, 5_000), (4_000, 3_800), (200, 150), (40, 30)] {
            let deadline = Instant::now() + Duration::from_millis(left);
            let granted = DEADLINE.scope(deadline, async { for_peer() }).await;
            // What is left shrinks while the test runs, and never grows.
            let (most, least) = (Duration::from_millis(peer), Duration::from_millis(peer).mul_f64(0.7));
            assert!((least..=most).contains(&granted), "{left} ms left: {granted:?}");
        }
    }

    #[test]
    fn a_peer_reads_what_we_write() {
        for timeout in [Duration::from_micros(1), Duration::from_millis(4_750), Duration::from_mins(5)] {
            assert_eq!(read_timeout(&timeout_header(timeout)), Some(timeout));
        }
    }
}
