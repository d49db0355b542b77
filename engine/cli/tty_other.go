//go:build !linux

package cli

import "golang.org/x/sys/unix"

// The calls that read and set what a terminal does, as BSD names them.
const (
	getTermios = unix.TIOCGETA
	setTermios = unix.TIOCSETA
)
