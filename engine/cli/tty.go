package cli

import (
	"fmt"
	"io"
	"os"

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
	if _, err := fmt.Fprint(tty, question); err != nil {
		return nil, err
	}
	b, err := term.ReadPassword(int(tty.Fd()))
	fmt.Fprintln(tty)
	return b, err
}
