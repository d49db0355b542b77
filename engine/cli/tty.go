package cli

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// openTTY opens the process's terminal: questions go there even when the streams are redirected.
func openTTY() (io.ReadWriteCloser, error) { return os.OpenFile("/dev/tty", os.O_RDWR, 0) }

// readPassword asks on the terminal of this process, pid, which shows nothing of what is typed.
func readPassword(question string, pid int) ([]byte, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer tty.Close()
	// Before the question: a password manager types faster than the terminal is told to show nothing.
	show, err := lineInput(int(tty.Fd()), false)
	if err != nil {
		return nil, err
	}
	defer show()
	if _, err := fmt.Fprint(tty, question); err != nil {
		return nil, err
	}
	b, err := readLine(tty, pid)
	fmt.Fprintln(tty)
	return b, err
}

// readLine reads a line without its end. Ctrl-C in it is errInterrupted, and a signal to the process pid.
func readLine(tty io.Reader, pid int) ([]byte, error) {
	var line []byte
	buf := make([]byte, 512)
	for {
		n, err := tty.Read(buf)
		line = append(line, buf[:n]...)
		if bytes.IndexByte(line, ctrlC) >= 0 {
			return nil, cmp.Or(unix.Kill(pid, unix.SIGINT), errInterrupted)
		}
		if text, _, whole := bytes.Cut(line, []byte("\n")); whole {
			return text, nil
		}
		if err != nil {
			return line, err
		}
	}
}

const ctrlC = 3

// errInterrupted says that Ctrl-C was typed in place of an answer. The signal is on its way to this process.
var errInterrupted = errors.New("interrupted")

// lineInput has Ctrl-C be a character that ends the line, until undo is called: as a signal it would race with the Return
// after it, which is then an empty answer. Without echo the terminal shows nothing of what is typed.
func lineInput(fd int, echo bool) (undo func(), err error) {
	was, err := unix.IoctlGetTermios(fd, getTermios)
	if err != nil {
		return nil, err
	}
	now := *was
	now.Lflag = now.Lflag&^unix.ISIG | unix.ICANON
	if !echo {
		now.Lflag &^= unix.ECHO
	}
	now.Iflag |= unix.ICRNL
	now.Cc[unix.VEOL] = ctrlC
	if err := unix.IoctlSetTermios(fd, setTermios, &now); err != nil {
		return nil, err
	}
	return func() { _ = unix.IoctlSetTermios(fd, setTermios, was) }, nil
}
