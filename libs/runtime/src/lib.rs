//! What every process does the same way: configuration, telemetry, server, peers, shutdown, clock.
