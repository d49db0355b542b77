package cli

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// openTTY opens the process's terminal: questions go there even when the streams are redirected.
func openTTY() (io.ReadWriteCloser, error) { return os.OpenFile("/dev/tty", os.O_RDWR, 0) }

// readPassword asks on the process's terminal, which shows nothing of what is typed.
func readPassword(question string) ([]byte, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer tty.Close()
	// Before the question: a password manager types faster than the terminal is told to show nothing.
	show, err := hideInput(int(tty.Fd()))
	if err != nil {
		return nil, err
	}
	defer show()
	if _, err := fmt.Fprint(tty, question); err != nil {
		return nil, err
	}
	b, err := term.ReadPassword(int(tty.Fd()))
	fmt.Fprintln(tty)
	return b, err
}

// hideInput has the terminal show nothing of what is typed, until show is called.
func hideInput(fd int) (show func(), err error) {
	was, err := unix.IoctlGetTermios(fd, getTermios)
	if err != nil {
		return nil, err
	}
	hidden := *was
	hidden.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(fd, setTermios, &hidden); err != nil {
		return nil, err
	}
	return func() { _ = unix.IoctlSetTermios(fd, setTermios, was) }, nil
}
