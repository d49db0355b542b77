package cli

import (
	"bytes"
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
	show, err := hideInput(int(tty.Fd()))
	if err != nil {
		return nil, err
	}
	defer show()
	if _, err := fmt.Fprint(tty, question); err != nil {
		return nil, err
	}
	b, err := readLine(tty)
	fmt.Fprintln(tty)
	if errors.Is(err, errInterrupted) {
		if err := unix.Kill(pid, unix.SIGINT); err != nil {
			return nil, err
		}
	}
	return b, err
}

// readLine reads a line without its end. Ctrl-C in it is errInterrupted.
func readLine(tty io.Reader) ([]byte, error) {
	var line []byte
	buf := make([]byte, 512)
	for {
		n, err := tty.Read(buf)
		line = append(line, buf[:n]...)
		if bytes.IndexByte(line, ctrlC) >= 0 {
			return nil, errInterrupted
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

// hideInput has the terminal show nothing of what is typed, until show is called. Ctrl-C becomes a character that ends the
// line: as a signal it would race with the Return after it, which is then an empty answer.
func hideInput(fd int) (show func(), err error) {
	was, err := unix.IoctlGetTermios(fd, getTermios)
	if err != nil {
		return nil, err
	}
	hidden := *was
	hidden.Lflag = hidden.Lflag&^(unix.ECHO|unix.ISIG) | unix.ICANON
	hidden.Iflag |= unix.ICRNL
	hidden.Cc[unix.VEOL] = ctrlC
	if err := unix.IoctlSetTermios(fd, setTermios, &hidden); err != nil {
		return nil, err
	}
	return func() { _ = unix.IoctlSetTermios(fd, setTermios, was) }, nil
}
