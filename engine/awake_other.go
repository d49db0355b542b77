//go:build !darwin

package engine

import "golang.org/x/sys/unix"

// awakeClock does not count sleep on Linux (see clock_gettime(2)).
const awakeClock = unix.CLOCK_MONOTONIC
