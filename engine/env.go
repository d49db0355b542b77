package engine

import (
	"crypto/rand"
	"io"
	"os"
	"time"
)

// Env is everything that comes from outside and differs in a test: clock, randomness, environment, machine.
type Env struct {
	Now    func() time.Time
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
		Now: time.Now, Random: rand.Reader, Getenv: os.Getenv, Home: home, Cwd: cwd, Hostname: host,
		PID: os.Getpid(), HardwareID: hardwareID, Zone: time.Local,
	}
}
