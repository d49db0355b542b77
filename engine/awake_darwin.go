package engine

import "golang.org/x/sys/unix"

// awakeClock does not count sleep on macOS, unlike its CLOCK_MONOTONIC (see clock_gettime(3)).
const awakeClock = unix.CLOCK_UPTIME_RAW
