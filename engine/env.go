package engine

import (
	"context"
	"crypto/rand"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Env is everything that comes from outside and differs in a test: clock, randomness, environment, machine.
type Env struct {
	Now func() time.Time
	// Awake is a clock that stands still while the machine sleeps and begins anew when it starts; nil: it never sleeps.
	Awake func() time.Duration
	// Sleep waits, at most until ctx is over, whose error it then returns; nil: the real thing.
	Sleep  func(ctx context.Context, d time.Duration) error
	Random io.Reader
	Getenv func(string) string
	// Home is the user's home folder, Cwd the current one.
	Home, Cwd string
	Hostname  string
	PID       int
	// HardwareID identifies the machine, not the installation; empty where there is nothing to ask.
	HardwareID func() string
	// Zone is the machine's time zone: retention counts its days.
	Zone *time.Location
}

// SystemEnv is the real one. It is the only place besides main that asks the system for these.
func SystemEnv() Env {
	home, _ := os.UserHomeDir()
	cwd, _ := os.Getwd()
	host, _ := os.Hostname()
	return Env{
		Now: time.Now, Awake: awake, Sleep: sleep, Random: rand.Reader, Getenv: os.Getenv, Home: home, Cwd: cwd, Hostname: host,
		PID: os.Getpid(), HardwareID: hardwareID, Zone: time.Local,
	}
}

// awake reads the clock that stands still in sleep. One that cannot be read stands still for good: then nothing is ever
// called late, and nothing proven.
func awake() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(awakeClock, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
